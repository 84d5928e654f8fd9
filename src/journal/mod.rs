//! An embedded journal that outlives a loss of power: one writer thread, many callers, one sync for
//! each group of them.
//!
//! What it holds is small enough to stand in memory as well: a [`Machine`] decides there, in order,
//! and what it changed is written as one [`Batch`] and synced before anyone is answered. After a
//! write that failed, the machine is built anew from what the disk holds.

mod batch;
mod engine;
mod error;
mod floor;
mod folder;
mod head;
#[cfg(feature = "__internals")]
mod raw;
#[cfg(test)]
mod tests;
mod wal;
mod writer;

#[cfg(feature = "__internals")]
pub(crate) use self::raw::RawEngine;
pub(crate) use self::{
    batch::Batch,
    error::{JournalError, JournalErrorKind},
    writer::{Journal, Machine, gone},
};
