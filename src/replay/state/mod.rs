//! The state machine that all stores of one process share: which uses were granted, given back and
//! forgotten, and which records are kept. It reads no clock and does no I/O.

pub(super) mod capacity;
pub(super) mod changes;
mod earlier;
pub(super) mod payments;
pub(super) mod records;
mod released;
