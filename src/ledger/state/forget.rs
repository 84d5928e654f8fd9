use super::{books::Books, carried::CarriedKey, changes::Changes};
#[cfg(feature = "ledger-durable")]
use super::{carried::Carried, counted::Counted};
use crate::{
    clock::Timestamp,
    ledger::{EntryState, Total, entry::Record},
};

impl Books {
    /// Forgets up to `most` entries that ended before a moment, and carries their sums. Returns how
    /// many it forgot.
    pub(in crate::ledger) fn forget_before(
        &mut self,
        moment: Timestamp,
        most: usize,
        changes: &mut dyn Changes,
    ) -> usize {
        let entries = self.index.by_number.values();
        let entries = entries.filter_map(|id| self.entries.get(id));
        let old = entries.filter(|entry| entry.is_over_before(moment));
        let old: Vec<_> = old.take(most).cloned().collect();
        for entry in &old {
            let key = CarriedKey {
                budget: entry.budget.clone(),
                host: entry.host.clone(),
            };
            let held = self.carried.get(&key).copied();
            let mut carried = held.unwrap_or_default();
            carried.latest = carried.latest.max(entry.last_moment());
            carried.total.add(Total::of(entry));
            changes.carried(&key, held.as_ref(), &carried);
            changes.forgotten(entry);
            self.carried.insert(key, carried);
            self.entries.remove(&entry.id);
            self.index.forget(entry);
        }
        old.len()
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
        self.note_latest(carried.latest);
        if let Some(budget) = &key.budget {
            let nothing = Counted::Nothing;
            self.budgets
                .count(budget, &key.host, nothing, carried.counted());
        }
        self.carried.insert(key, carried);
    }
}

impl Record {
    /// Returns whether nothing can happen to the entry any more, since before a moment.
    fn is_over_before(&self, moment: Timestamp) -> bool {
        let is_over = match self.state {
            EntryState::Earned | EntryState::Failed => true,
            EntryState::Redeemed => {
                self.preimage.is_none() && (self.is_cleared || !self.tried.is_in_doubt)
            }
            EntryState::Refused | EntryState::Unproved => self.is_cleared,
            EntryState::InFlight | EntryState::Paid | EntryState::Reserved | EntryState::Sent => {
                false
            }
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
