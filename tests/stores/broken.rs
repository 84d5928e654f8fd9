//! Stores that break the contract: the suites must catch them.

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
    time::Duration,
};

use tokio::sync::watch;
use tower_x402::{
    clock::{Clock as _, TestClock, Timestamp},
    lightning::BoxFuture,
    replay::{
        Consumption, ConsumptionKey, Durability, MemoryStore, ReleaseReason, ReplayStore, Serving,
        StoreError, StoreId, UseId, UseRequest, conformance,
    },
};

use crate::durable;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_before_the_insert_is_caught() {
    let caught = caught(|setup| CheckThenInsert {
        id: StoreId::random().unwrap(),
        created_at: setup.clock.now(),
        spent: Mutex::default(),
        checked: watch::Sender::new(0),
    })
    .await;
    assert!(caught.contains("raced for 1 uses"), "{caught}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_release_that_is_forgotten_when_it_comes_first_is_caught() {
    let caught = caught(|setup| ForgetsEarlyReleases {
        inner: MemoryStore::new().unwrap().with_clock(setup.clock),
        asked: Mutex::default(),
    })
    .await;
    assert!(
        caught.contains("a release that came before its consume must win over it"),
        "{caught}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_says_wrongly_since_when_it_exists_is_caught() {
    let says: [(Says, &str); 3] = [
        (|_, _| Timestamp::default(), "before it was made"),
        (
            |opened, _| opened.saturating_add(Duration::from_secs(1)),
            "after it was opened",
        ),
        (|_, now| now, "`created_at` must not change"),
    ];
    for (says, word) in says {
        let caught =
            caught(|setup| Misdated::new(MemoryStore::new().unwrap(), setup.clock, says)).await;
        assert!(caught.contains(word), "{caught}");
    }
    let folder = tempfile::tempdir().unwrap();
    let caught = caught(|setup| {
        Misdated::new(
            durable(folder.path(), &setup),
            setup.clock.clone(),
            |opened, _| opened,
        )
    })
    .await;
    assert!(
        caught.contains("a durable store must keep its `created_at`"),
        "{caught}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_serves_on_after_a_failure_is_caught() {
    let caught = caught(|setup| ServesOn {
        inner: MemoryStore::new().unwrap().with_clock(setup.clock),
        failed: Mutex::default(),
    })
    .await;
    assert!(
        caught.contains("a failure ends the serving, also of a use that does not come back"),
        "{caught}"
    );
}

/// Returns the message of the suite that the store fails.
async fn caught<S: ReplayStore>(open: impl Fn(conformance::Setup) -> S) -> String {
    let suite = conformance::replay_store(async |setup| open(setup));
    crate::caught::caught(suite).await
}

/// Both of its first two callers check before either inserts, whatever the scheduler does.
#[derive(Debug)]
struct CheckThenInsert {
    id: StoreId,
    created_at: Timestamp,
    spent: Mutex<HashMap<ConsumptionKey, u32>>,
    checked: watch::Sender<usize>,
}

impl ReplayStore for CheckThenInsert {
    fn id(&self) -> StoreId {
        self.id
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        let (key, limits) = (request.key(), request.limits());
        Box::pin(async move {
            let taken = self.spent.lock().unwrap().get(&key).copied().unwrap_or(0);
            if taken >= limits.uses.get() {
                return Ok(Consumption::Spent);
            }
            self.checked.send_modify(|checked| *checked += 1);
            let _ = self
                .checked
                .subscribe()
                .wait_for(|checked| *checked >= 2)
                .await;
            self.spent.lock().unwrap().insert(key, taken + 1);
            Ok(Consumption::Granted {
                remaining: limits.uses.get() - taken - 1,
            })
        })
    }

    fn release(&self, _: ConsumptionKey, _: UseId, _: ReleaseReason) {}

    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}

#[derive(Debug)]
struct ForgetsEarlyReleases {
    inner: MemoryStore,
    asked: Mutex<HashSet<UseId>>,
}

impl ReplayStore for ForgetsEarlyReleases {
    fn id(&self) -> StoreId {
        self.inner.id()
    }

    fn created_at(&self) -> Timestamp {
        self.inner.created_at()
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        self.asked.lock().unwrap().insert(request.use_id());
        self.inner.consume(request)
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        if self.asked.lock().unwrap().contains(&use_id) {
            self.inner.release(key, use_id, why);
        }
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }
}

/// Chooses a moment, given that of its opening and now.
type Says = fn(Timestamp, Timestamp) -> Timestamp;

/// Returns a wrong `created_at`.
#[derive(Debug)]
struct Misdated<S> {
    inner: S,
    clock: TestClock,
    opened: Timestamp,
    says: Says,
}

impl<S> Misdated<S> {
    fn new(inner: S, clock: TestClock, says: Says) -> Self {
        Self {
            inner,
            opened: clock.now(),
            clock,
            says,
        }
    }
}

impl<S: ReplayStore> ReplayStore for Misdated<S> {
    fn id(&self) -> StoreId {
        self.inner.id()
    }

    fn created_at(&self) -> Timestamp {
        (self.says)(self.opened, self.clock.now())
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        self.inner.consume(request)
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        self.inner.release(key, use_id, why);
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }
}

/// Says that a use is being served which failed and does not come back.
#[derive(Debug)]
struct ServesOn {
    inner: MemoryStore,
    failed: Mutex<HashSet<ConsumptionKey>>,
}

impl ReplayStore for ServesOn {
    fn id(&self) -> StoreId {
        self.inner.id()
    }

    fn created_at(&self) -> Timestamp {
        self.inner.created_at()
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        Box::pin(async move {
            let (key, asks) = (request.key(), request.serving_until().is_some());
            let has_failed = asks && self.failed.lock().unwrap().contains(&key);
            Ok(match self.inner.consume(request).await? {
                Consumption::Spent if has_failed => Consumption::InUse,
                answer => answer,
            })
        })
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        if why == ReleaseReason::Failed {
            self.failed.lock().unwrap().insert(key);
        }
        self.inner.release(key, use_id, why);
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    fn serving(&self) -> Option<&dyn Serving> {
        self.inner.serving()
    }
}
