//! The state of the ledger: a pure machine that one writer changes in order, in memory or before a
//! disk.

mod begin;
mod books;
mod budgets;
mod carried;
mod changes;
mod counted;
mod forget;
mod index;
#[cfg(feature = "ledger-durable")]
mod repair;
mod steps;
mod window;

pub(super) use self::{
    books::Books,
    carried::CarriedKey,
    changes::Changes,
    forget::DAY,
    steps::{Later, Step},
};
#[cfg(feature = "ledger-durable")]
pub(super) use self::{carried::Carried, changes::BudgetRecord};
