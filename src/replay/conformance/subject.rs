//! The store that a suite tests, and what all suites do with it.

use std::{
    fmt,
    future::poll_fn,
    num::{NonZeroU32, NonZeroUsize},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    clock::{TestClock, Timestamp},
    payment::{Network, PaymentHash},
    replay::{
        Consumption, ConsumptionKey, ReleaseReason, ReplayStore, UseId, UseLimits, UseRequest,
    },
};

/// The store that a suite asks for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setup {
    /// The name of the data. A new name asks for an empty store. If a name is used again after its
    /// store was dropped, a durable store opens what is there, and any other store is new.
    pub name: u64,
    /// Whether another handle has the store of this name open, in this process or in another one.
    /// Suites of several handles set it for all but the first.
    pub is_open: bool,
    /// The clock that the store must use.
    pub clock: TestClock,
    /// The number of keys that the store must have room for, if that matters. A store without a
    /// limit may ignore it.
    pub capacity: Option<NonZeroUsize>,
}

impl Setup {
    pub(super) fn new() -> Self {
        static NAMES: AtomicU64 = AtomicU64::new(0);
        let name = NAMES.fetch_add(1, Ordering::Relaxed);
        Self {
            name,
            is_open: false,
            clock: TestClock::at(START),
            capacity: None,
        }
    }

    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            capacity: NonZeroUsize::new(capacity),
            ..Self::new()
        }
    }
}

/// A store under test, and its clock.
pub(super) struct Subject<S: ?Sized> {
    pub(super) store: Arc<S>,
    pub(super) clock: TestClock,
}

impl<S: ?Sized> Clone for Subject<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            clock: self.clock.clone(),
        }
    }
}

impl<S: ReplayStore> Subject<S> {
    pub(super) async fn open(open: &impl AsyncFn(Setup) -> S, setup: Setup) -> Self {
        let clock = setup.clock.clone();
        Self {
            store: Arc::new(open(setup).await),
            clock,
        }
    }

    pub(super) async fn new(open: &impl AsyncFn(Setup) -> S) -> Self {
        Self::open(open, Setup::new()).await
    }
}

impl<S: ReplayStore + ?Sized> Subject<S> {
    pub(super) async fn consume(
        &self,
        key: ConsumptionKey,
        id: UseId,
        limits: UseLimits,
    ) -> Consumption {
        self.consume_until(key, id, limits, after(3_600)).await
    }

    pub(super) async fn consume_until(
        &self,
        key: ConsumptionKey,
        id: UseId,
        limits: UseLimits,
        retain_until: Timestamp,
    ) -> Consumption {
        self.store
            .consume(UseRequest::new(key, id, limits, retain_until))
            .await
            .unwrap_or_else(|error| panic!("consume failed: {error}"))
    }

    /// Asks until a released use is granted: the store carries a release out in its own time.
    pub(super) async fn consume_released(
        &self,
        key: ConsumptionKey,
        limits: UseLimits,
        what: impl fmt::Display,
    ) {
        let given_up = Instant::now() + PATIENCE;
        while self.consume(key, a_use(), limits).await == Consumption::Spent {
            assert!(Instant::now() < given_up, "{what}");
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn release(&self, key: ConsumptionKey, id: UseId, why: ReleaseReason) {
        self.store.release(key, id, why);
    }

    /// Takes all uses that are left, and returns how many they were.
    pub(super) async fn drain(&self, key: ConsumptionKey, limits: UseLimits) -> u32 {
        let mut left = 0;
        while self.consume(key, a_use(), limits).await != Consumption::Spent {
            left += 1;
        }
        left
    }
}

/// Polls a future at most so many times, and drops it.
pub(super) async fn poll_and_drop<F: Future>(future: F, times: usize) -> Option<F::Output> {
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

/// Lets many tasks consume one key at once, each through one of these handles, and returns their
/// answers.
pub(super) async fn race<S: ReplayStore + ?Sized>(
    handles: &[&Arc<S>],
    key: ConsumptionKey,
    bought: u32,
    id: impl Fn() -> UseId,
) -> Vec<Consumption> {
    let mut racers = JoinSet::new();
    for handle in handles.iter().cycle().take(RACERS) {
        let (store, id) = (Arc::clone(handle), id());
        racers.spawn(async move {
            store
                .consume(UseRequest::new(key, id, uses(bought), after(3_600)))
                .await
        });
    }
    let answers = racers.join_all().await;
    answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(|error| panic!("consume failed: {error}")))
        .collect()
}

/// Checks that each bought use was granted once. `race` says what raced for how many uses.
pub(super) fn each_is_granted_once(answers: Vec<Consumption>, bought: u32, race: &str) {
    let granted = answers.into_iter().filter_map(|answer| match answer {
        Consumption::Granted { remaining } => Some(remaining),
        Consumption::InUse | Consumption::Spent => None,
    });
    let mut remaining: Vec<_> = granted.collect();
    remaining.sort_unstable();
    let expected: Vec<_> = (0..bought).collect();
    assert_eq!(remaining, expected, "{race}; each must be granted once");
}

pub(super) fn a_key() -> ConsumptionKey {
    ConsumptionKey::lightning(Network::Regtest, a_hash())
}

pub(super) fn a_hash() -> PaymentHash {
    let mut hash = [0; 32];
    getrandom::fill(&mut hash).expect("randomness");
    PaymentHash::from_bytes(hash)
}

pub(super) fn a_use() -> UseId {
    UseId::random().expect("randomness")
}

pub(super) fn uses(uses: u32) -> UseLimits {
    restorable(uses, 0)
}

pub(super) fn restorable(uses: u32, restores: u32) -> UseLimits {
    UseLimits::new(NonZeroU32::new(uses).expect("at least one use"), restores)
}

pub(super) fn after(seconds: u64) -> Timestamp {
    START.saturating_add(Duration::from_secs(seconds))
}

pub(super) const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
pub(super) const RACERS: usize = 200;
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
