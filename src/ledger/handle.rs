use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Notify;

use super::{
    Approvals, EntryId, LedgerOptions,
    error::LedgerError,
    payers::Payers,
    roots::Roots,
    state::{Books, Changes, Later},
};
use crate::{
    clock::{Clock, Timestamp},
    lock::lock,
};

/// Every payment of an application, and its budgets. Clones share one ledger.
///
/// The paying client writes it. Code that pays by itself can use it too: [`begin`](Self::begin)
/// before the payer is asked, and then what happened. Write each step and wait for it before the
/// next one: see the [module's documentation](super).
///
/// ```
/// use tower_x402::{Amount, ledger::{Budget, BudgetPath, Ledger}};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let ledger = Ledger::in_memory();
/// let wallet = BudgetPath::root("wallet").ok_or("no name")?;
/// ledger.set_root(&wallet, Budget::daily(Amount::from_sat(500))).await?;
/// let task = ledger.create_budget(&wallet, "task 7", Budget::total(Amount::from_sat(20))).await?;
/// assert_eq!(ledger.budget(&task)?.remaining, Some(Amount::from_sat(20)));
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone)]
pub struct Ledger(Arc<Shared>);

struct Shared {
    books: Arc<Mutex<Books>>,
    approvals: Approvals,
    roots: Roots,
    payers: Payers,
    clock: Arc<dyn Clock>,
    /// Told when a call is no longer at work on some entry.
    released: Notify,
    #[cfg(feature = "ledger-durable")]
    clearances: Option<super::clearances::Clearances>,
    #[cfg(feature = "ledger-durable")]
    journal: Option<crate::journal::Journal<super::durable::LedgerMachine>>,
}

impl Ledger {
    /// Creates a ledger that is gone with the process: what was paid and not redeemed by then is
    /// lost, and every budget starts anew. Use it for tests and test networks.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::in_memory_with(LedgerOptions::new())
    }

    /// Creates a ledger as [`in_memory`](Self::in_memory) does, with options.
    #[must_use]
    pub fn in_memory_with(options: LedgerOptions) -> Self {
        Self(Arc::new(Shared {
            books: Arc::new(Mutex::new(Books::new(options.capacity))),
            approvals: Approvals::in_memory(options.clock.clone()),
            roots: Roots::default(),
            payers: Payers::default(),
            clock: options.clock,
            released: Notify::new(),
            #[cfg(feature = "ledger-durable")]
            clearances: None,
            #[cfg(feature = "ledger-durable")]
            journal: None,
        }))
    }

    /// Returns whether the ledger outlives this process.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        #[cfg(feature = "ledger-durable")]
        return self.0.journal.is_some();
        #[cfg(not(feature = "ledger-durable"))]
        return false;
    }

    /// Returns the payments that wait for a person.
    #[must_use]
    pub fn approvals(&self) -> &Approvals {
        &self.0.approvals
    }

    pub(super) fn roots(&self) -> &Roots {
        &self.0.roots
    }

    pub(super) fn payers(&self) -> &Payers {
        &self.0.payers
    }

    /// Waits until a call [releases](Self::release) any entry. Releases count from the moment at
    /// which this is called.
    pub fn released(&self) -> impl Future<Output = ()> + Send + '_ {
        self.0.released.notified()
    }

    pub(super) fn note_release(&self) {
        self.0.released.notify_waiters();
    }

    /// Changes the books, and returns once the change is safe from a loss of power.
    pub(super) async fn change<T: Send + 'static, E: From<LedgerError> + Send + 'static>(
        &self,
        change: impl FnOnce(&mut Books, Timestamp, &mut dyn Changes) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        #[cfg(feature = "ledger-durable")]
        if let Some(journal) = &self.0.journal {
            return super::durable::change(journal, change).await;
        }
        let (mut books, now) = self.books();
        change(&mut books, now, &mut ())
    }

    /// Changes the books soon. Does not wait for a disk.
    pub(super) fn later(&self, id: EntryId, later: Later) {
        let (mut books, now) = self.books();
        if matches!(later, Later::Released) && books.end_call(id) {
            return;
        }
        #[cfg(feature = "ledger-durable")]
        if let Some(journal) = &self.0.journal {
            if matches!(later, Later::InDoubt(_) | Later::Redeemed { .. }) {
                books.will_be_redeemed(id);
            }
            drop(books);
            return super::durable::later(journal, id, later);
        }
        books.later(id, later, now, &mut ());
    }

    /// Returns whether [`find`](Self::find) finds a payment for any request.
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "wallets use it"))]
    pub(crate) fn has_unended(&self) -> Result<bool, LedgerError> {
        lock(&self.0.books).whole().map(Books::has_unended)
    }

    /// Returns the books to read, with the time.
    pub(super) fn books(&self) -> (MutexGuard<'_, Books>, Timestamp) {
        let mut books = lock(&self.0.books);
        let now = books.time(self.0.clock.now());
        (books, now)
    }
}

#[cfg(feature = "ledger-durable")]
impl Ledger {
    pub(super) fn clearances(&self) -> Option<&super::clearances::Clearances> {
        self.0.clearances.as_ref()
    }

    /// Opens the ledger in `folder`, or creates one there (mode 0700), and starts its writer
    /// thread. One process may open a folder at a time. It reads all that the folder holds, so it
    /// blocks for a while.
    ///
    /// Every step returns once it is safe from a loss of power. What an earlier process had only
    /// reserved is free again. What it had sent is among [`unresolved`](Self::unresolved).
    ///
    /// **Never put back an older copy of the folder.** What was spent since would be forgotten.
    ///
    /// # Errors
    ///
    /// - [`LedgerErrorKind::Corrupt`](super::LedgerErrorKind::Corrupt) if the folder holds less
    ///   than was acknowledged, or was changed.
    /// - [`LedgerErrorKind::Unavailable`](super::LedgerErrorKind::Unavailable) if another ledger
    ///   has it open, or if it cannot be read or written.
    pub fn open(folder: impl AsRef<std::path::Path>) -> Result<Self, LedgerError> {
        Self::open_with(folder, LedgerOptions::new())
    }

    /// Opens the ledger in `folder` as [`open`](Self::open) does, with options.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn open_with(
        folder: impl AsRef<std::path::Path>,
        options: LedgerOptions,
    ) -> Result<Self, LedgerError> {
        let books = Arc::new(Mutex::new(Books::new(options.capacity)));
        let clock = options.clock;
        let journal = super::durable::open(folder.as_ref(), books.clone(), clock.clone(), None)?;
        Ok(Self(Arc::new(Shared {
            books,
            approvals: Approvals::open_with(folder.as_ref(), clock.clone())?,
            roots: Roots::default(),
            payers: Payers::default(),
            clock,
            released: Notify::new(),
            clearances: Some(super::clearances::Clearances::of(folder.as_ref())),
            journal: Some(journal),
        })))
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}
