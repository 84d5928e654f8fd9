use crate::ledger::{Budget, BudgetPath, entry::Record};

/// Where a change of the books is noted, to be written.
pub(in crate::ledger) trait Changes {
    /// Notes that an entry, which was `old`, is now `new`.
    fn entry(&mut self, old: Option<&Record>, new: &Record);

    /// Notes that a budget, which was `old`, is now `new`.
    fn budget(&mut self, path: &BudgetPath, old: Option<&BudgetRecord>, new: &BudgetRecord);
}

/// What the ledger holds of a budget, besides its sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct BudgetRecord {
    pub(in crate::ledger) limits: Budget,
    pub(in crate::ledger) is_revoked: bool,
}

/// Notes nothing: what is in memory alone is not written.
impl Changes for () {
    fn entry(&mut self, _: Option<&Record>, _: &Record) {}

    fn budget(&mut self, _: &BudgetPath, _: Option<&BudgetRecord>, _: &BudgetRecord) {}
}
