use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use super::{
    Approvals, EntryId, LedgerOptions,
    error::LedgerError,
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
    clock: Arc<dyn Clock>,
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
            clock: options.clock,
        }))
    }

    /// Returns whether the ledger outlives this process.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        false
    }

    /// Returns the payments that wait for a person.
    #[must_use]
    pub fn approvals(&self) -> &Approvals {
        &self.0.approvals
    }

    /// Changes the books, and returns once the change is safe.
    pub(super) async fn change<T: Send + 'static, E: From<LedgerError> + Send + 'static>(
        &self,
        change: impl FnOnce(&mut Books, Timestamp, &mut dyn Changes) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let mut books = lock(&self.0.books);
        let now = books.time(self.0.clock.now());
        change(&mut books, now, &mut ())
    }

    /// Changes the books soon. Never blocks.
    pub(super) fn later(&self, id: EntryId, later: Later) {
        let mut books = lock(&self.0.books);
        let now = books.time(self.0.clock.now());
        books.later(id, &later, now, &mut ());
    }

    /// Returns the books to read, with the time.
    pub(super) fn books(&self) -> (MutexGuard<'_, Books>, Timestamp) {
        let mut books = lock(&self.0.books);
        let now = books.time(self.0.clock.now());
        (books, now)
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}
