//! Payments that wait for a person. Another process may decide, while this one has the ledger open.

#[cfg(feature = "ledger-durable")]
mod folder;
mod handle;
mod memory;
mod parked;
mod shelf;

pub use self::{
    handle::{Approval, Approvals},
    parked::{ApprovalId, Parked},
};
