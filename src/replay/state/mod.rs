//! The state machine that the memory store and the durable store share: which uses were granted,
//! given back and forgotten, and which records are kept. It reads no clock and does no I/O.

pub(super) mod capacity;
pub(super) mod changes;
mod earlier;
pub(super) mod payments;
pub(super) mod records;
mod released;
pub(super) mod serving;
