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
#[cfg(feature = "replay-durable")]
mod raw;
mod records;
mod releases;
mod restart;
mod retention;
mod uses;

use std::{
    fmt,
    future::poll_fn,
    num::{NonZeroU32, NonZeroUsize},
    pin::pin,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

#[cfg(feature = "replay-durable")]
#[doc(hidden)]
pub use self::raw::{RawEngine, RawRecord};
pub use self::records::records;
use self::{handles::Pair, process::Remote};
use super::{Consumption, ConsumptionKey, Limits, Release, ReplayStore, UseId};
use crate::{
    clock::{TestClock, Timestamp},
    payment::{Network, PaymentHash},
};

/// How a suite wants a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setup {
    /// Names the data: a name that was not seen before asks for an empty store. A durable store
    /// that is asked for a name again, its first value being dropped, opens what is there; any
    /// other store is new each time.
    pub name: u64,
    /// Another handle has the store of this name open, here or in another process: only
    /// [`two_handles`], [`two_processes`] and [`other_process`] ask for that.
    pub is_open: bool,
    /// The clock that the store must go by.
    pub clock: TestClock,
    /// For how many keys it must have room, where that matters. A store without a bound of its own
    /// may ignore it.
    pub capacity: Option<NonZeroUsize>,
}

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

impl Setup {
    fn new() -> Self {
        static NAMES: AtomicU64 = AtomicU64::new(0);
        let name = NAMES.fetch_add(1, Ordering::Relaxed);
        Self {
            name,
            is_open: false,
            clock: TestClock::at(START),
            capacity: None,
        }
    }

    fn with_capacity(capacity: usize) -> Self {
        Self {
            capacity: NonZeroUsize::new(capacity),
            ..Self::new()
        }
    }
}

/// A store and what it is asked again and again.
struct Subject<S: ?Sized> {
    store: Arc<S>,
    clock: TestClock,
}

impl<S: ReplayStore> Subject<S> {
    async fn open(open: &impl AsyncFn(Setup) -> S, setup: Setup) -> Self {
        let clock = setup.clock.clone();
        Self {
            store: Arc::new(open(setup).await),
            clock,
        }
    }

    async fn new(open: &impl AsyncFn(Setup) -> S) -> Self {
        Self::open(open, Setup::new()).await
    }
}

impl<S: ReplayStore + ?Sized> Subject<S> {
    async fn consume(&self, key: ConsumptionKey, id: UseId, limits: Limits) -> Consumption {
        self.consume_until(key, id, limits, after(3_600)).await
    }

    async fn consume_until(
        &self,
        key: ConsumptionKey,
        id: UseId,
        limits: Limits,
        retain_until: Timestamp,
    ) -> Consumption {
        self.store
            .consume(key, id, limits, retain_until)
            .await
            .unwrap_or_else(|error| panic!("consume failed: {error}"))
    }

    /// A release is carried out by the store in its own time: asks until the use is granted.
    async fn consume_released(&self, key: ConsumptionKey, limits: Limits, what: impl fmt::Display) {
        let given_up = Instant::now() + PATIENCE;
        while self.consume(key, a_use(), limits).await == Consumption::Spent {
            assert!(Instant::now() < given_up, "{what}");
            tokio::task::yield_now().await;
        }
    }

    fn release(&self, key: ConsumptionKey, id: UseId, why: Release) {
        self.store.release(key, id, why);
    }

    /// How many uses are left, counted by taking them.
    async fn drain(&self, key: ConsumptionKey, limits: Limits) -> u32 {
        let mut left = 0;
        while self.consume(key, a_use(), limits).await != Consumption::Spent {
            left += 1;
        }
        left
    }
}

/// Polls a future so many times at most, and drops it.
async fn poll_and_drop<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// What many tasks are answered that consume one key at once, each through one of these handles.
async fn race<S: ReplayStore + ?Sized>(
    handles: &[&Arc<S>],
    key: ConsumptionKey,
    bought: u32,
    id: impl Fn() -> UseId,
) -> Vec<Consumption> {
    let mut racers = JoinSet::new();
    for handle in handles.iter().cycle().take(RACERS) {
        let (store, id) = (Arc::clone(handle), id());
        racers.spawn(async move { store.consume(key, id, uses(bought), after(3_600)).await });
    }
    let answers = racers.join_all().await;
    answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(|error| panic!("consume failed: {error}")))
        .collect()
}

fn a_key() -> ConsumptionKey {
    let mut hash = [0; 32];
    getrandom::fill(&mut hash).expect("randomness");
    ConsumptionKey::new(Network::Regtest, PaymentHash::from_bytes(hash))
}

fn a_use() -> UseId {
    UseId::random().expect("randomness")
}

fn uses(uses: u32) -> Limits {
    restorable(uses, 0)
}

fn restorable(uses: u32, restores: u32) -> Limits {
    Limits::new(NonZeroU32::new(uses).expect("at least one use"), restores)
}

fn after(seconds: u64) -> Timestamp {
    START.saturating_add(Duration::from_secs(seconds))
}

const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const RACERS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(10);
