use super::carried::{Carried, CarriedKey};
use crate::{
    clock::Timestamp,
    ledger::{Budget, BudgetPath, entry::Record},
};

/// Where a change of the books is noted, to be written.
pub(in crate::ledger) trait Changes {
    /// Notes that an entry, which was `old`, is now `new`.
    fn entry(&mut self, old: Option<&Record>, new: &Record);

    /// Notes that an entry is forgotten.
    fn forgotten(&mut self, old: &Record);

    /// Notes that the sums of forgotten entries, which were `old`, are now `new`.
    fn carried(&mut self, key: &CarriedKey, old: Option<&Carried>, new: Option<&Carried>);

    /// Notes that a budget, which was `old`, is now `new`.
    fn budget(&mut self, path: &BudgetPath, old: Option<&BudgetRecord>, new: Option<&BudgetRecord>);
}

/// What the ledger holds of a budget, besides its sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct BudgetRecord {
    pub(in crate::ledger) limits: Budget,
    /// When it was created first.
    pub(in crate::ledger) created_at: Timestamp,
    pub(in crate::ledger) revoked_at: Option<Timestamp>,
}

impl BudgetRecord {
    /// Returns when it ends.
    pub(in crate::ledger) fn ends_at(&self) -> Option<Timestamp> {
        let lifetime = self.limits.lifetime;
        let last = lifetime.map(|time| self.created_at.saturating_add(time));
        self.limits.expires_at.into_iter().chain(last).min()
    }

    /// Returns whether it ended or was revoked before a moment.
    pub(super) fn is_over_before(&self, moment: Timestamp) -> bool {
        let ends = [self.ends_at(), self.revoked_at];
        ends.into_iter().flatten().any(|end| end < moment)
    }
}

/// Notes nothing: what is in memory alone is not written.
impl Changes for () {
    fn entry(&mut self, _: Option<&Record>, _: &Record) {}

    fn forgotten(&mut self, _: &Record) {}

    fn carried(&mut self, _: &CarriedKey, _: Option<&Carried>, _: Option<&Carried>) {}

    fn budget(&mut self, _: &BudgetPath, _: Option<&BudgetRecord>, _: Option<&BudgetRecord>) {}
}
