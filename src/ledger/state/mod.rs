//! The state of the ledger: a pure machine that one writer changes in order, in memory or before a
//! disk.

mod begin;
mod books;
mod budgets;
mod changes;
mod counted;
mod index;
mod steps;
mod window;

#[cfg(feature = "ledger-durable")]
pub(super) use self::changes::BudgetRecord;
pub(super) use self::{
    books::Books,
    changes::Changes,
    steps::{Later, Step},
};
