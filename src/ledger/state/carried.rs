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
}

/// The sums of forgotten entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::ledger) struct Carried {
    pub(in crate::ledger) total: Total,
    /// When the last of them was made, paid or ended.
    pub(in crate::ledger) latest: Timestamp,
}

pub(super) type AllCarried = HashMap<CarriedKey, Carried>;

impl Carried {
    pub(super) fn counted(&self) -> Counted {
        Counted::Spent(self.total.spent.as_msat().into(), self.latest)
    }
}
