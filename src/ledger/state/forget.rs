use std::collections::HashSet;

#[cfg(feature = "ledger-durable")]
use super::counted::Counted;
use super::{
    books::Books,
    carried::{Carried, CarriedKey},
    changes::Changes,
};
use crate::{
    clock::Timestamp,
    ledger::{BudgetPath, EntryId, EntryState, Total, entry::Record},
};

impl Books {
    /// Forgets up to `most` entries that ended before a moment, and carries their sums. Returns how
    /// many it forgot.
    pub(in crate::ledger) fn forget_before(
        &mut self,
        moment: Timestamp,
        now: Timestamp,
        most: usize,
        changes: &mut dyn Changes,
    ) -> usize {
        let entries = self.index.by_number.values();
        let entries = entries.filter_map(|id| self.entries.get(id));
        // A credential may be on its way to a server.
        let is_at_work = |entry: &Record| {
            entry.state == EntryState::Paid && self.live.calls.contains_key(&entry.id)
        };
        let old = entries.filter(|entry| entry.is_over_before(moment, now) && !is_at_work(entry));
        let old: Vec<_> = old.take(most).cloned().collect();
        for entry in &old {
            let (key, carried) = carried(entry);
            // What failed has no sums to carry.
            if carried.total != Total::default() {
                self.carry(key, &carried, changes);
            }
            self.forget(entry, changes);
        }
        old.len()
    }

    /// Forgets a payment that was never given to the payer, as if it had not been begun.
    pub(super) fn forget_unsent(&mut self, id: EntryId, changes: &mut dyn Changes) {
        if let Some(held) = self.entries.get(&id).cloned() {
            // This takes it out of every sum and index.
            self.keep(Record {
                state: EntryState::Failed,
                ..Record::clone(&held)
            });
            self.forget(&held, changes);
        }
    }

    /// Forgets the oldest payment that failed. It has no sums to carry.
    pub(super) fn forget_first_failed(&mut self, changes: &mut dyn Changes) {
        let first = self.index.failed.first().map(|(_, id)| *id);
        if let Some(held) = first.and_then(|id| self.entries.get(&id).cloned()) {
            self.forget(&held, changes);
        }
    }

    /// Forgets an entry that counts for nothing now, or whose sums are carried.
    fn forget(&mut self, entry: &Record, changes: &mut dyn Changes) {
        changes.forgotten(entry);
        self.entries.remove(&entry.id);
        self.index.forget(entry);
    }

    /// Forgets up to `most` budgets that were over before a moment and have neither entries nor
    /// budgets below. The budgets above them carry their sums. Returns how many it forgot.
    pub(in crate::ledger) fn forget_budgets(
        &mut self,
        moment: Timestamp,
        most: usize,
        changes: &mut dyn Changes,
    ) -> usize {
        let budgets = self
            .entries
            .values()
            .filter_map(|entry| entry.budget.as_ref());
        let mut needed: HashSet<_> = budgets.flat_map(BudgetPath::and_above).collect();
        for path in self.budgets.paths() {
            needed.extend(path.and_above().skip(1));
        }
        let unneeded = self.budgets.paths().filter(|path| {
            let is_over = || self.budgets.is_over_before(path, moment);
            path.parent().is_some() && !needed.contains(path.as_str()) && is_over()
        });
        let over: HashSet<_> = unneeded.take(most).cloned().collect();
        let is_of_these =
            |key: &&CarriedKey| key.budget.as_ref().is_some_and(|own| over.contains(own));
        let keys: Vec<_> = self.carried.keys().filter(is_of_these).cloned().collect();
        for key in keys {
            if let Some(carried) = self.carried.remove(&key) {
                changes.carried(&key, Some(&carried), None);
                let budget = key.budget.as_ref().and_then(BudgetPath::parent);
                self.carry(CarriedKey { budget, ..key }, &carried, changes);
            }
        }
        for path in &over {
            let record = self.budgets.remove(path);
            changes.budget(path, record.as_ref(), None);
        }
        over.len()
    }

    /// Adds to the sums of forgotten entries. No sum of a budget changes by that.
    pub(super) fn carry(&mut self, key: CarriedKey, more: &Carried, changes: &mut dyn Changes) {
        let held = self.carried.get(&key).copied();
        let mut carried = held.unwrap_or_default();
        carried.add(more);
        changes.carried(&key, held.as_ref(), Some(&carried));
        self.carried.insert(key, carried);
    }

    /// Returns the sums of forgotten entries.
    pub(in crate::ledger) fn all_carried(&self) -> Vec<(CarriedKey, Total)> {
        let carried = self.carried.iter();
        carried
            .map(|(key, carried)| (key.clone(), carried.total))
            .collect()
    }

    /// Loads the sums of forgotten entries. They count in windows as if all had been spent last.
    #[cfg(feature = "ledger-durable")]
    pub(in crate::ledger) fn load_carried(&mut self, key: CarriedKey, carried: Carried) {
        if let Some(budget) = &key.budget {
            self.note_latest(carried.latest);
            let nothing = Counted::Nothing;
            self.budgets
                .count(budget, &key.host, nothing, carried.counted());
        }
        self.carried.insert(key, carried);
    }
}

/// Returns what is carried of an entry that is forgotten.
fn carried(entry: &Record) -> (CarriedKey, Carried) {
    let key = CarriedKey {
        budget: entry.budget.clone(),
        host: entry.host.clone(),
        day: entry.spent_at().as_unix_seconds() / DAY,
    };
    let carried = Carried {
        total: Total::of(entry),
        spent_at: entry.spent_at(),
        latest: entry.last_moment(),
    };
    (key, carried)
}

impl Record {
    /// Returns whether nothing can happen to the entry any more, since before a moment.
    fn is_over_before(&self, moment: Timestamp, now: Timestamp) -> bool {
        let is_over = match self.state {
            EntryState::Earned | EntryState::Failed => true,
            EntryState::Redeemed => {
                // A reusable credential until its end.
                let is_used = self.preimage.is_none() || self.redeem_until < now;
                is_used && (self.is_cleared || !self.tried.is_in_doubt)
            }
            EntryState::Refused | EntryState::Unproved => self.is_cleared,
            // Its credential has ended, so no request can use it.
            EntryState::Paid => self.is_cleared || !self.tried.is_in_doubt,
            EntryState::InFlight | EntryState::Reserved | EntryState::Sent => false,
        };
        is_over
            && self.last_moment() < moment
            && self.invoice_expires_at < moment
            && self.redeem_until < moment
    }

    /// Returns when the entry was made, paid or ended, whichever was last.
    pub(super) fn last_moment(&self) -> Timestamp {
        let later = [self.sent_at, self.paid_at, self.ended_at];
        later.into_iter().flatten().fold(self.created_at, Ord::max)
    }
}

pub(in crate::ledger) const DAY: u64 = 86_400;
