use std::collections::HashMap;

use super::counted::Counted;
use crate::{
    clock::Timestamp,
    ledger::{BudgetPath, Total},
};

/// What forgotten entries had in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::ledger) struct CarriedKey {
    /// `None` for income.
    pub(in crate::ledger) budget: Option<BudgetPath>,
    pub(in crate::ledger) host: String,
    /// The day in UTC on which they were paid, counted from 1970 on.
    pub(in crate::ledger) day: u64,
}

/// The sums of forgotten entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::ledger) struct Carried {
    pub(in crate::ledger) total: Total,
    /// When the last of them was paid, so all of them count in a window for at least as long as they
    /// must.
    pub(in crate::ledger) spent_at: Timestamp,
    /// When the last of them was made, paid or ended.
    pub(in crate::ledger) latest: Timestamp,
}

pub(super) type AllCarried = HashMap<CarriedKey, Carried>;

impl Carried {
    pub(super) fn counted(&self) -> Counted {
        Counted::Spent(self.total.spent.as_msat().into(), self.spent_at)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.total.add(other.total);
        self.spent_at = self.spent_at.max(other.spent_at);
        self.latest = self.latest.max(other.latest);
    }
}
