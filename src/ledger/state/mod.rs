//! The state of the ledger: a pure machine that one writer changes in order, in memory or before a
//! disk.

// Loading comes with the durable ledger.
#![allow(dead_code)]

mod begin;
mod books;
mod budgets;
mod changes;
mod counted;
mod index;
mod steps;
mod window;

pub(super) use self::{
    books::Books,
    changes::Changes,
    steps::{Later, Step},
};
