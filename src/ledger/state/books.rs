use std::{collections::HashMap, sync::Arc};

use super::{
    budgets::Budgets,
    carried::AllCarried,
    changes::{BudgetRecord, Changes},
    counted::Counted,
    index::{Index, Live},
};
use crate::{
    clock::Timestamp,
    ledger::{
        Budget, BudgetPath, BudgetState, Entry, EntryId, EntryState, LedgerError, LedgerErrorKind,
        RequestKey, entry::Record,
    },
    payment::{Network, PayerId, PaymentHash},
};

/// All entries and budgets, with what is computed from them.
#[derive(Default)]
pub(in crate::ledger) struct Books {
    pub(super) entries: HashMap<EntryId, Arc<Record>>,
    pub(super) index: Index,
    pub(super) budgets: Budgets,
    pub(super) carried: AllCarried,
    /// Kept when the rest is loaded again.
    pub(super) live: Live,
    /// The latest moment that was ever seen.
    latest: Timestamp,
    pub(super) capacity: usize,
    /// Whether all that a disk holds is loaded.
    is_whole: bool,
}

impl Books {
    /// Creates empty books for so many entries.
    pub(in crate::ledger) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            is_whole: true,
            ..Self::default()
        }
    }

    /// Forgets all but which entries calls are at work on.
    #[cfg(feature = "ledger-durable")]
    pub(in crate::ledger) fn clear(&mut self) {
        *self = Self {
            live: std::mem::take(&mut self.live),
            capacity: self.capacity,
            latest: self.latest,
            ..Self::default()
        };
    }

    /// Loads a budget.
    pub(in crate::ledger) fn load_budget(&mut self, path: &BudgetPath, record: BudgetRecord) {
        let entries = self.entries.values();
        let entries = entries.filter_map(|entry| {
            let budget = entry.budget.as_ref()?;
            Some((budget, &*entry.host, Counted::of(entry)))
        });
        let carried = self.carried.iter().filter_map(|(key, carried)| {
            let budget = key.budget.as_ref()?;
            Some((budget, &*key.host, carried.counted()))
        });
        self.budgets.set(path, record, entries.chain(carried));
    }

    /// Loads an entry.
    #[cfg(feature = "ledger-durable")]
    pub(in crate::ledger) fn load_entry(&mut self, entry: Record) {
        if entry.state != EntryState::Earned {
            self.note_latest(entry.last_moment());
        }
        self.keep(entry);
    }

    /// Ends a load.
    #[cfg(feature = "ledger-durable")]
    pub(in crate::ledger) fn loaded(&mut self) {
        self.is_whole = true;
    }

    #[cfg(feature = "ledger-durable")]
    pub(in crate::ledger) const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Returns these books, or an error while they are being loaded.
    pub(in crate::ledger) fn whole(&self) -> Result<&Self, LedgerError> {
        if self.is_whole {
            return Ok(self);
        }
        let why = "it reads its folder again after a failed write";
        Err(LedgerError::new(LedgerErrorKind::Unavailable, why))
    }

    /// Returns the ledger's time: the clock's, or the latest that was seen if that is later.
    pub(in crate::ledger) fn time(&mut self, clock: Timestamp) -> Timestamp {
        self.latest = self.latest.max(clock);
        self.latest
    }

    /// Notes that an entry will be redeemed as soon as that is written.
    #[cfg(feature = "ledger-durable")]
    pub(in crate::ledger) fn will_be_redeemed(&mut self, id: EntryId) {
        self.live.redeemed.insert(id);
    }

    /// Notes that no call is at work on an entry any more. Returns whether there is nothing else to
    /// do for that.
    pub(in crate::ledger) fn end_call(&mut self, id: EntryId) -> bool {
        self.live.calls.remove(&id);
        let entry = self.entries.get(&id);
        if let Some(entry) = entry {
            self.index.note_trouble(entry, false);
        }
        entry.is_some_and(|entry| entry.state != EntryState::Reserved)
    }

    /// Sets the ledger's time, which a person knows to be true.
    #[cfg(feature = "ledger-durable")]
    pub(super) const fn set_latest(&mut self, now: Timestamp) {
        self.latest = now;
    }

    /// Notes that a moment was seen by an earlier process.
    #[cfg(feature = "ledger-durable")]
    pub(super) fn note_latest(&mut self, moment: Timestamp) {
        self.latest = self.latest.max(moment);
    }

    /// Creates a budget, or returns if it is there with the same limits.
    pub(in crate::ledger) fn create_budget(
        &mut self,
        path: &BudgetPath,
        limits: Budget,
        now: Timestamp,
        changes: &mut dyn Changes,
    ) -> Result<(), LedgerError> {
        check_limits(&limits)?;
        let parent = path.parent();
        if let Some(parent) = parent.filter(|parent| self.budgets.get(parent).is_none()) {
            return Err(unknown(format_args!(
                "there is no budget {parent}: create it first"
            )));
        }
        match self.budgets.get(path) {
            Some(held) if held.revoked_at.is_some() => Err(revoked(path)),
            Some(held) if held.limits != limits => Err(conflict(format_args!(
                "the budget {path} has other limits: use those, or let a person change them with `Ledger::set_limits`"
            ))),
            Some(_) => Ok(()),
            None => self.set_budget(path, limits, now, changes),
        }
    }

    /// Sets the limits of an outermost budget, which a person chose.
    pub(in crate::ledger) fn set_root(
        &mut self,
        path: &BudgetPath,
        limits: Budget,
        now: Timestamp,
        changes: &mut dyn Changes,
    ) -> Result<(), LedgerError> {
        check_limits(&limits)?;
        match self.budgets.get(path) {
            Some(held) if held.revoked_at.is_some() => Err(revoked(path)),
            Some(held) if held.limits == limits => Ok(()),
            _ => self.set_budget(path, limits, now, changes),
        }
    }

    /// Sets the limits of a budget that is there, which a person chose.
    pub(in crate::ledger) fn set_limits(
        &mut self,
        path: &BudgetPath,
        limits: Budget,
        now: Timestamp,
        changes: &mut dyn Changes,
    ) -> Result<(), LedgerError> {
        if self.budgets.get(path).is_none() {
            return Err(unknown(format_args!("there is no budget {path}")));
        }
        self.set_root(path, limits, now, changes)
    }

    /// Revokes a budget, and with it all below it.
    pub(in crate::ledger) fn revoke(
        &mut self,
        path: &BudgetPath,
        now: Timestamp,
        changes: &mut dyn Changes,
    ) -> Result<(), LedgerError> {
        let Some(held) = self.budgets.get(path) else {
            return Err(unknown(format_args!("there is no budget {path}")));
        };
        let revoked = BudgetRecord {
            revoked_at: held.revoked_at.or(Some(now)),
            ..held.clone()
        };
        self.put_budget(path, revoked, changes);
        Ok(())
    }

    /// Returns a budget as it is now.
    pub(in crate::ledger) fn budget(
        &self,
        path: &BudgetPath,
        now: Timestamp,
    ) -> Option<BudgetState> {
        self.budgets.state(path, self.latest.max(now))
    }

    /// Returns the paths of all budgets, in order.
    pub(in crate::ledger) fn budget_paths(&self) -> Vec<BudgetPath> {
        let mut paths: Vec<_> = self.budgets.paths().cloned().collect();
        paths.sort_unstable();
        paths
    }

    /// Returns an entry.
    pub(in crate::ledger) fn entry(&self, id: EntryId) -> Option<Entry> {
        self.entries.get(&id).cloned().map(Entry)
    }

    /// Returns the last payment of an invoice.
    pub(in crate::ledger) fn of_hash(&self, network: Network, hash: PaymentHash) -> Option<Entry> {
        self.index
            .of_hash(network, hash)
            .and_then(|id| self.entry(id))
    }

    /// Returns whether any payment has not ended.
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "wallets use it"))]
    pub(in crate::ledger) fn has_unended(&self) -> bool {
        self.index.has_unended()
    }

    /// Returns the payments for a request that have not ended.
    pub(in crate::ledger) fn of_request(&self, key: &RequestKey) -> Vec<Entry> {
        let own = self.index.of_request(key);
        own.filter_map(|id| self.entry(id)).collect()
    }

    /// Returns payments whose outcome is not known and on which no call is at work.
    pub(in crate::ledger) fn unresolved(&self) -> Vec<Entry> {
        let ids = self.index.unresolved.iter().map(|(_, id)| *id);
        let left = ids.filter(|id| !self.live.calls.contains_key(id));
        left.filter_map(|id| self.entry(id)).collect()
    }

    pub(super) fn is_cleared(&self, id: &EntryId) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.is_cleared)
    }

    /// Returns the payments that a payer cannot prove.
    pub(in crate::ledger) fn unproved_by(&self, payer: PayerId) -> Vec<Entry> {
        let ids = self.index.unproved(Some(payer));
        ids.filter_map(|id| self.entry(id)).collect()
    }

    /// Returns the entries for which hosts or payers are in trouble, oldest first.
    pub(in crate::ledger) fn trouble(&self) -> Vec<Entry> {
        let ids = self.index.all_trouble().filter(|id| !self.is_cleared(id));
        let mut entries: Vec<_> = ids.filter_map(|id| self.entry(id)).collect();
        entries.sort_by_key(|entry| entry.0.number);
        entries
    }

    /// Returns the entries of reusable credentials.
    pub(in crate::ledger) fn reusable(&self) -> Vec<Entry> {
        let ids = self.index.reusable.iter().map(|(_, id)| *id);
        ids.filter_map(|id| self.entry(id)).collect()
    }

    /// Returns up to `most` entries after the number `after`, in their order.
    pub(in crate::ledger) fn page(&self, after: Option<u64>, most: usize) -> Vec<Entry> {
        let from = after.map_or(0, |after| after.saturating_add(1));
        let ids = self.index.by_number.range(from..).map(|(_, id)| *id);
        ids.take(most).filter_map(|id| self.entry(id)).collect()
    }

    /// Returns the number of the next entry.
    pub(super) fn next_number(&self) -> u64 {
        let last = self.index.by_number.keys().next_back();
        last.map_or(0, |last| last + 1)
    }

    /// Puts an entry into the books in the place of an earlier version of it.
    pub(super) fn put(&mut self, entry: Record, changes: &mut dyn Changes) {
        let old = self.entries.get(&entry.id);
        changes.entry(old.map(|old| &**old), &entry);
        self.keep(entry);
    }

    pub(super) fn keep(&mut self, entry: Record) {
        let entry = Arc::new(entry);
        let is_live = self.live.is_of_a_request(&entry.id);
        let old = self.entries.insert(entry.id, entry.clone());
        if let Some(budget) = &entry.budget {
            let before = old.as_deref().map_or(Counted::Nothing, Counted::of);
            let after = Counted::of(&entry);
            self.budgets.count(budget, &entry.host, before, after);
        }
        self.index.note(&entry, is_live);
    }

    fn set_budget(
        &mut self,
        path: &BudgetPath,
        limits: Budget,
        now: Timestamp,
        changes: &mut dyn Changes,
    ) -> Result<(), LedgerError> {
        let held = self.budgets.get(path);
        if held.is_none() && self.budgets.len() >= MAX_BUDGETS {
            let why = "no room for another budget, 100,000 are the most: let budgets end or revoke them, and use `Ledger::forget_before`";
            return Err(LedgerError::new(LedgerErrorKind::Full, why));
        }
        let record = BudgetRecord {
            limits,
            created_at: held.map_or(now, |held| held.created_at),
            revoked_at: None,
        };
        self.put_budget(path, record, changes);
        Ok(())
    }

    pub(super) fn put_budget(
        &mut self,
        path: &BudgetPath,
        record: BudgetRecord,
        changes: &mut dyn Changes,
    ) {
        let old = self.budgets.get(path);
        changes.budget(path, old, Some(&record));
        if old.is_some_and(|old| old.limits != record.limits) {
            self.load_budget(path, record);
        } else {
            self.budgets.set_record(path, record);
        }
    }
}

fn check_limits(limits: &Budget) -> Result<(), LedgerError> {
    if limits.is_valid() {
        return Ok(());
    }
    let why = "a budget has at most 8 windows, and an owner's name of 1 to 64 printable ASCII characters without a slash";
    Err(LedgerError::new(LedgerErrorKind::Invalid, why))
}

fn revoked(path: &BudgetPath) -> LedgerError {
    conflict(format_args!(
        "the budget {path} was revoked: use another name"
    ))
}

pub(super) fn conflict(why: impl std::fmt::Display) -> LedgerError {
    LedgerError::new(LedgerErrorKind::Conflict, why.to_string())
}

pub(super) fn unknown(why: impl std::fmt::Display) -> LedgerError {
    LedgerError::new(LedgerErrorKind::Unknown, why.to_string())
}

const MAX_BUDGETS: usize = 100_000;
