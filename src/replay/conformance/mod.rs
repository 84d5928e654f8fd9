//! What every store must do, as suites that anyone's store can be put through (feature
//! `conformance`).
//!
//! ```
//! use tower_x402::replay::{MemoryStore, conformance};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! conformance::replay_store(async |setup| {
//!     let store = MemoryStore::new().expect("randomness").with_clock(setup.clock);
//!     match setup.capacity {
//!         Some(keys) => store.with_capacity(keys),
//!         None => store,
//!     }
//! })
//! .await;
//! # }
//! ```
//!
//! A suite panics where a store breaks the contract, and says how. Run it on a runtime with several
//! threads: what a race shows, it shows there.

mod birth;
mod handles;
mod model;
mod process;
#[cfg(all(feature = "__internals", feature = "replay-durable"))]
pub(crate) mod raw;
mod records;
mod releases;
mod restart;
mod retention;
mod subject;
mod uses;

use std::{process::Command, sync::Arc};

pub use self::records::records;
pub use self::subject::Setup;
use self::{handles::Pair, process::Remote};
use super::ReplayStore;

/// Puts a [`ReplayStore`] through its contract. For one that several handles may have open see
/// [`two_handles`] and [`two_processes`] too.
///
/// # Panics
///
/// Where the store breaks it.
pub async fn replay_store<S: ReplayStore>(open: impl AsyncFn(Setup) -> S) {
    uses::suite(&open).await;
    releases::suite(&open).await;
    retention::suite(&open).await;
    restart::suite(&open).await;
    birth::suite(&open).await;
    model::suite(&open).await;
}

/// Puts a [`ReplayStore`] that several handles may have open at once through what they owe one
/// another: `open` is called again with the name of a store that is open ([`Setup::is_open`]), and
/// gives a second handle of it. For a store that only one value may have open, such as a file that
/// is locked, that is a clone of the `Arc` around it; for a store on a server it is another
/// connection. The second handle is opened some seconds later than the first by the clock of the
/// [`Setup`].
///
/// # Panics
///
/// If two handles are not one store.
pub async fn two_handles<S: ReplayStore>(open: impl AsyncFn(Setup) -> S) {
    handles::suite(&open).await;
}

/// The same for a store that several processes may have open: `other` starts a process which calls
/// [`other_process`] with an opener of the same store. A test may start itself again:
///
/// ```no_run
/// # use tower_x402::replay::{MemoryStore, conformance::{self, Setup}};
/// # async fn open(setup: Setup) -> MemoryStore { MemoryStore::new().unwrap().with_clock(setup.clock) }
/// # async fn a_test() {
/// if conformance::other_process(open).await {
///     return;
/// }
/// let mut other = std::process::Command::new(std::env::current_exe().unwrap());
/// other.args(["two_processes_are_one_store", "--exact", "--nocapture"]); // this very test
/// conformance::two_processes(open, other).await;
/// # }
/// ```
///
/// # Panics
///
/// If the processes do not share one store, or the other one does not start.
pub async fn two_processes<S: ReplayStore>(open: impl AsyncFn(Setup) -> S, other: Command) {
    let setup = Setup::new();
    let here = open(setup.clone()).await;
    let there = Remote::start(other, &setup);
    handles::of(&Pair::new(Arc::new(here), Arc::new(there), &setup.clock)).await;
}

/// Whether this is the process that [`two_processes`] started. If so, it first serves the store
/// that `open` gives to that one, over standard input and output, and answers once it is done.
///
/// # Panics
///
/// If the first process asks for what it cannot.
pub async fn other_process<S: ReplayStore>(open: impl AsyncFn(Setup) -> S) -> bool {
    process::serve(open).await
}
