//! Suites that test a store against the contract of its trait (feature `conformance`). Run them on
//! stores of your own.
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
//! A suite panics if a store breaks the contract, and the message says how. Run it on a runtime
//! with several threads, so that races can show.

mod clocks;
mod created_at;
mod crowd;
mod handles;
mod interrupted;
mod model;
mod process;
#[cfg(all(feature = "__internals", feature = "replay-durable"))]
pub(crate) mod raw;
mod records;
mod releases;
mod restart;
mod retention;
mod serving;
mod subject;
mod uses;

use std::{process::Command, sync::Arc};

pub use self::records::records;
pub use self::subject::Setup;
use self::{handles::Pair, process::Remote};
use super::ReplayStore;

/// Tests a [`ReplayStore`] against its contract. `open` opens or creates the store that a [`Setup`]
/// describes. If several handles may have your store open, run [`two_handles`] and
/// [`two_processes`] too.
///
/// # Panics
///
/// If the store breaks the contract.
pub async fn replay_store<S: ReplayStore>(open: impl AsyncFn(Setup) -> S) {
    uses::suite(&open).await;
    releases::suite(&open).await;
    retention::suite(&open).await;
    restart::suite(&open).await;
    created_at::suite(&open).await;
    serving::suite(&open).await;
    model::suite(&open).await;
}

/// Tests that two handles of one [`ReplayStore`] share everything. `open` is called again with the
/// name of a store that is open ([`Setup::is_open`]), and must return a second handle of it. If
/// only one value may have your store open, such as a file that is locked, return a clone of the
/// `Arc` around it. For a store on a server, return another connection. The second handle is opened
/// some seconds later than the first by the clock of the [`Setup`].
///
/// # Panics
///
/// If the two handles differ in an answer.
pub async fn two_handles<S: ReplayStore>(open: impl AsyncFn(Setup) -> S) {
    handles::suite(&open).await;
}

/// Tests that two processes which have one [`ReplayStore`] open share everything. `other` must
/// start a process that calls [`other_process`] and opens the same store. A test may start itself
/// again:
///
/// ```no_run
/// # use tower_x402::replay::{MemoryStore, conformance::{self, Setup}};
/// # async fn open(setup: Setup) -> MemoryStore {
/// #     MemoryStore::new().unwrap().with_clock(setup.clock)
/// # }
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
/// If the processes differ in an answer, or if the other one does not start.
pub async fn two_processes<S: ReplayStore>(open: impl AsyncFn(Setup) -> S, other: Command) {
    let setup = Setup::new();
    let here = open(setup.clone()).await;
    let there = Remote::start(other, &setup);
    handles::of(&Pair::new(Arc::new(here), Arc::new(there), &setup.clock)).await;
}

/// Tests that many processes which have one [`ReplayStore`] open share everything, and opens the
/// store in all of them at the same moment. Each of `others` must start a process as for
/// [`two_processes`]. The last one is killed while it takes uses.
///
/// # Panics
///
/// If a use is granted twice, or if a process does not start.
pub async fn many_processes<S: ReplayStore>(
    open: impl AsyncFn(Setup) -> S,
    others: impl IntoIterator<Item = Command>,
) {
    crowd::suite(&open, others.into_iter().collect()).await;
}

/// Tests that two handles of one [`ReplayStore`] whose clocks differ free nothing for each other.
/// As for [`two_handles`], `open` is called again with the name of a store that is open, but with
/// another clock. It is of no use for a store that only one value may have open.
///
/// # Panics
///
/// If a payment that one clock says has expired is granted again.
pub async fn clocks_that_differ<S: ReplayStore>(open: impl AsyncFn(Setup) -> S) {
    clocks::suite(&open).await;
}

/// Tests that a [`ReplayStore`] on a server grants nothing twice over an interruption that loses
/// nothing, and that service returns. While tasks take uses through two handles, this calls
/// `interrupt`. It must interrupt the server, for example kill it and start it again, or let a
/// replica that has all writes take its place. It returns once a server is there again.
///
/// # Panics
///
/// If a use is granted twice or is lost, or if service does not return within a minute.
pub async fn interrupted<S: ReplayStore>(
    open: impl AsyncFn(Setup) -> S,
    interrupt: impl AsyncFnOnce(),
) {
    interrupted::suite(&open, interrupt).await;
}

/// Returns whether this is the process that [`two_processes`] or [`many_processes`] started. If it is, this first opens
/// the store with `open`. It then serves the store to that process, over standard input and
/// output, until that process ends.
///
/// # Panics
///
/// If it reads a request that it does not understand.
pub async fn other_process<S: ReplayStore>(open: impl AsyncFn(Setup) -> S) -> bool {
    process::serve(open).await
}
