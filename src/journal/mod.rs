//! An embedded journal that outlives a loss of power: one writer thread, many callers, one sync for
//! each group of callers.
//!
//! What it holds is small enough to be held in memory too. A [`Machine`] applies commands there, in
//! order. Its changes are written as one [`Batch`] and synced before any caller gets a reply. If a
//! write fails, the machine is cleared and loaded again from the disk.

mod batch;
mod engine;
mod error;
mod floor;
mod folder;
mod head;
mod machine;
#[cfg(feature = "conformance")]
#[cfg(feature = "__internals")]
mod raw;
#[cfg(test)]
mod tests;
mod wal;
mod writer;

#[cfg(feature = "ledger-durable")]
pub(crate) use self::folder::{create as create_folder, new_file, sync as sync_folder};
#[cfg(feature = "__internals")]
pub(crate) use self::raw::RawEngine;
pub(crate) use self::{
    batch::Batch,
    error::{JournalError, JournalErrorKind},
    machine::Machine,
    writer::{Journal, gone},
};
