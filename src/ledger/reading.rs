//! What the ledger holds, and its budgets.

use std::sync::Arc;

use super::{
    BeginError, Budget, BudgetPath, BudgetState, Entry, EntryId, Ledger, LedgerError,
    LedgerErrorKind, NewPayment, RequestKey, Total,
    payers::PayerInUse,
    roots::RootInUse,
    state::{Books, CarriedKey},
};
use crate::{
    clock::Timestamp,
    payment::{Network, PayerId, PaymentHash},
};

impl Ledger {
    /// Sets the limits of an outermost budget, and creates it if there is none. A person chose
    /// them, so they may differ from earlier ones. The sums stay as they are.
    ///
    /// # Errors
    ///
    /// - [`LedgerErrorKind::Conflict`] if the budget was revoked: use another name.
    /// - [`LedgerErrorKind::Invalid`] if `path` has more than one name, and
    ///   [`LedgerErrorKind::Unavailable`] if this cannot be written.
    pub async fn set_root(&self, path: &BudgetPath, limits: Budget) -> Result<(), LedgerError> {
        if path.parent().is_some() {
            let why = format!("{path} is not an outermost budget: use `create_budget`");
            return Err(LedgerError::new(LedgerErrorKind::Invalid, why));
        }
        let (own, set) = (path.clone(), limits.clone());
        self.change(move |books, now, changes| books.set_root(&own, set, now, changes))
            .await?;
        self.roots().note(path, limits);
        Ok(())
    }

    /// Sets the limits of an outermost budget for a new wallet. Another wallet of this process that
    /// has the same budget must have the same limits: it would be widened without notice.
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "wallets use it"))]
    pub(crate) async fn use_root(
        &self,
        path: &BudgetPath,
        limits: Budget,
    ) -> Result<Arc<RootInUse>, LedgerError> {
        let in_use = self.roots().take(path, &limits)?;
        self.set_root(path, limits).await?;
        Ok(in_use)
    }

    /// Notes that a wallet has a payer, until what this returns is dropped.
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "wallets use it"))]
    pub(crate) fn use_payer(&self, payer: PayerId) -> Arc<PayerInUse> {
        self.payers().take(payer)
    }

    /// Returns whether a wallet of this process has a payer.
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "wallets use it"))]
    pub(crate) fn has_payer(&self, payer: PayerId) -> bool {
        self.payers().has(payer)
    }

    /// Creates a budget below another one. If it is there with the same limits, this changes
    /// nothing. Give it an end with [`Budget::lasting`] or [`Budget::until`], or revoke it when it
    /// is no longer needed, so that [`forget_before`](Self::forget_before) can make room.
    ///
    /// # Errors
    ///
    /// - [`LedgerErrorKind::Conflict`] if it is there with other limits (see
    ///   [`set_limits`](Self::set_limits)), or was revoked.
    /// - [`LedgerErrorKind::Invalid`] if the name does not fit: see [`BudgetPath::child`].
    /// - [`LedgerErrorKind::Unknown`] if there is no budget `parent`.
    /// - [`LedgerErrorKind::Full`] if there are 100,000 budgets, and
    ///   [`LedgerErrorKind::Unavailable`] if this cannot be written.
    pub async fn create_budget(
        &self,
        parent: &BudgetPath,
        name: &str,
        limits: Budget,
    ) -> Result<BudgetPath, LedgerError> {
        let Some(path) = parent.child(name) else {
            let why = "a name has 1 to 64 printable ASCII characters without a slash, and budgets are at most 16 deep";
            return Err(LedgerError::new(LedgerErrorKind::Invalid, why));
        };
        let created = path.clone();
        self.change(move |books, now, changes| books.create_budget(&path, limits, now, changes))
            .await?;
        Ok(created)
    }

    /// Changes the limits of a budget that is there. A person chose them: no agent should call this.
    /// The sums stay as they are. A program that [creates](Self::create_budget) the budget again by
    /// name must name the new limits.
    ///
    /// # Errors
    ///
    /// - [`LedgerErrorKind::Conflict`] if the budget was revoked.
    /// - [`LedgerErrorKind::Unknown`] if there is no such budget, and
    ///   [`LedgerErrorKind::Unavailable`] if this cannot be written.
    pub async fn set_limits(&self, path: &BudgetPath, limits: Budget) -> Result<(), LedgerError> {
        let (own, set) = (path.clone(), limits.clone());
        self.change(move |books, now, changes| books.set_limits(&own, set, now, changes))
            .await?;
        self.roots().note(path, limits);
        Ok(())
    }

    /// Revokes a budget: it pays nothing any more, and nor do those below it.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if there is no such budget, or if this cannot be written.
    pub async fn revoke(&self, path: &BudgetPath) -> Result<(), LedgerError> {
        let path = path.clone();
        self.change(move |books, now, changes| books.revoke(&path, now, changes))
            .await
    }

    /// Returns whether [`begin`](Self::begin) would begin this payment now. Reserves nothing, so the
    /// answer may have changed by the time it is begun.
    ///
    /// # Errors
    ///
    /// As for [`begin`](Self::begin).
    pub fn would_begin(&self, payment: &NewPayment) -> Result<(), BeginError> {
        self.read(|books, now| books.would_begin(payment, now).map(drop))?
    }

    /// Returns a budget as it is now.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if there is no such budget, or if the ledger cannot be read now. The same
    /// holds for all that read.
    pub fn budget(&self, path: &BudgetPath) -> Result<BudgetState, LedgerError> {
        self.read(|books, now| books.budget(path, now))?
            .ok_or_else(|| {
                let why = format!("there is no budget {path}");
                LedgerError::new(LedgerErrorKind::Unknown, why)
            })
    }

    /// Returns the paths of all budgets, in order.
    ///
    /// # Errors
    ///
    /// As for [`budget`](Self::budget).
    pub fn budgets(&self) -> Result<Vec<BudgetPath>, LedgerError> {
        self.read(|books, _| books.budget_paths())
    }

    /// Returns an entry, or `None` if there is none of this name.
    ///
    /// # Errors
    ///
    /// As for [`budget`](Self::budget).
    pub fn entry(&self, id: EntryId) -> Result<Option<Entry>, LedgerError> {
        self.read(|books, _| books.entry(id))
    }

    /// Returns the last payment of an invoice, whatever became of it.
    ///
    /// # Errors
    ///
    /// As for [`budget`](Self::budget).
    pub fn of_hash(
        &self,
        network: Network,
        hash: PaymentHash,
    ) -> Result<Option<Entry>, LedgerError> {
        self.read(|books, _| books.of_hash(network, hash))
    }

    /// Returns all payments for a request that have not ended, oldest first.
    ///
    /// # Errors
    ///
    /// As for [`budget`](Self::budget).
    pub fn find(&self, request: &RequestKey) -> Result<Vec<Entry>, LedgerError> {
        self.read(|books, _| books.of_request(request))
    }

    /// Returns all payments that were sent and whose outcome is not known, oldest first, but for
    /// those on which a call of this process is at work. Ask the payer about each.
    ///
    /// # Errors
    ///
    /// As for [`budget`](Self::budget).
    pub fn unresolved(&self) -> Result<Vec<Entry>, LedgerError> {
        self.read(|books, _| books.unresolved())
    }

    /// Returns the payments that this payer reported and could not prove, also those that a person
    /// cleared. Ask it about each again.
    ///
    /// # Errors
    ///
    /// As for [`budget`](Self::budget).
    pub fn unproved_by(&self, payer: PayerId) -> Result<Vec<Entry>, LedgerError> {
        self.read(|books, _| books.unproved_by(payer))
    }

    /// Returns the entries for which hosts may not be paid, oldest first: credentials that were paid
    /// and refused, payments whose outcome is not known, and those that
    /// [are in doubt](Entry::is_in_doubt). One whose outcome is not known is no trouble yet, two of
    /// one host are. Three in doubt are, since the host last served a paid request. Payments that a
    /// payer cannot prove are among them: with two of one payer, it pays nothing. Show them to a
    /// person, who may [clear](Self::cleared) each.
    ///
    /// # Errors
    ///
    /// As for [`budget`](Self::budget).
    pub fn trouble(&self) -> Result<Vec<Entry>, LedgerError> {
        self.read(|books, _| books.trouble())
    }

    /// Returns the entries of all reusable credentials, oldest first.
    ///
    /// # Errors
    ///
    /// As for [`budget`](Self::budget).
    pub fn reusable(&self) -> Result<Vec<Entry>, LedgerError> {
        self.read(|books, _| books.reusable())
    }

    /// Returns up to 1,000 entries in the order in which they were made: the first ones, or those
    /// after `after`.
    ///
    /// # Errors
    ///
    /// As for [`budget`](Self::budget).
    pub fn entries(&self, after: Option<&Entry>) -> Result<Vec<Entry>, LedgerError> {
        self.read(|books, _| books.page(after.map(|entry| entry.0.number), PAGE))
    }

    /// Forgets entries that were over before a moment, once invoice and credential have expired
    /// too: failed ones, paid and redeemed ones, income, and refused or unproved ones that were
    /// cleared. Those that [are in doubt](Entry::is_in_doubt) must be cleared too. Budgets and
    /// [`totals`](Self::totals) keep their sums for each host and day. Returns how many entries it
    /// forgot.
    ///
    /// Also forgets budgets that ended or were revoked before the moment, if no entry of theirs is
    /// left. What they spent then counts as spent by the budget above them. Their names are free
    /// again. An outermost budget is never forgotten.
    ///
    /// Export the entries first. Call it now and then if the ledger would become full otherwise.
    /// After a restart, what was forgotten may count in windows for up to a day too long, and never
    /// too short.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if this cannot be written.
    pub async fn forget_before(&self, moment: Timestamp) -> Result<usize, LedgerError> {
        let mut forgotten = 0;
        loop {
            let some = self.change(move |books, now, changes| {
                Ok::<_, LedgerError>(books.forget_before(moment, now, PAGE, changes))
            });
            match some.await? {
                0 => break,
                some => forgotten += some,
            }
        }
        loop {
            let some = self.change(move |books, now, changes| {
                Ok::<_, LedgerError>(books.forget_budgets(moment.min(now), PAGE, changes))
            });
            if some.await? == 0 {
                return Ok(forgotten);
            }
        }
    }

    pub(super) fn carried(&self) -> Result<Vec<(CarriedKey, Total)>, LedgerError> {
        self.read(|books, _| books.all_carried())
    }

    fn read<T>(&self, read: impl FnOnce(&Books, Timestamp) -> T) -> Result<T, LedgerError> {
        let (books, now) = self.books();
        Ok(read(books.whole()?, now))
    }
}

const PAGE: usize = 1_000;
