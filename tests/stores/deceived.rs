//! The suites for stores on servers catch stores that grant a use twice.

use std::sync::{Arc, Mutex};

use tower_x402::{
    clock::{Clock as _, TestClock, Timestamp},
    lightning::BoxFuture,
    replay::{
        Consumption, ConsumptionKey, Durability, MemoryStore, ReleaseReason, ReplayStore,
        StoreError, StoreId, UseId, UseRequest,
        conformance::{self, Setup},
    },
};

use crate::{caught::caught, child};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_forgets_what_one_clock_says_has_expired_is_caught() {
    let shared = Arc::<Mutex<Shared>>::default();
    let text = caught(conformance::clocks_that_differ(async |setup| {
        Forgetful::open(&shared, &setup)
    }))
    .await;
    assert!(text.contains("and it was granted again"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_comes_back_with_less_is_caught() {
    let shared = Arc::<Mutex<Shared>>::default();
    let text = caught(conformance::interrupted(
        async |setup| Forgetful::open(&shared, &setup),
        async || shared.lock().unwrap().forget(),
    ))
    .await;
    assert!(text.contains("before or during an interruption"), "{text}");
}

const APART: &str = "deceived::processes_with_a_store_each_are_caught";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_with_a_store_each_are_caught() {
    let shared = Arc::<Mutex<Shared>>::default();
    let open = async |setup| Forgetful::open(&shared, &setup);
    if child::folder_of(APART).is_some() {
        assert!(conformance::other_process(open).await);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let others = [child::command(APART, folder.path(), &[])];
    let text = caught(conformance::many_processes(open, others)).await;
    assert!(text.contains("many processes raced for 1 uses"), "{text}");
}

/// Handles of a store that forgets all that it has, without a trace, if the clock of one of them says
/// that a part has expired. It has one id in all processes.
#[derive(Debug)]
struct Forgetful {
    shared: Arc<Mutex<Shared>>,
    clock: TestClock,
}

#[derive(Debug)]
struct Shared {
    store: Arc<MemoryStore>,
    first_end: Timestamp,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            store: Arc::new(MemoryStore::new().unwrap()),
            first_end: Timestamp::MAX,
        }
    }
}

impl Shared {
    fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Forgetful {
    fn open(shared: &Arc<Mutex<Shared>>, setup: &Setup) -> Self {
        Self {
            shared: shared.clone(),
            clock: setup.clock.clone(),
        }
    }

    fn store(&self) -> Arc<MemoryStore> {
        self.shared.lock().unwrap().store.clone()
    }
}

impl ReplayStore for Forgetful {
    fn id(&self) -> StoreId {
        StoreId::from_bytes([7; 16])
    }

    fn created_at(&self) -> Timestamp {
        Timestamp::from_unix_seconds(1)
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        Box::pin(async move {
            let store = {
                let mut shared = self.shared.lock().unwrap();
                if shared.first_end < self.clock.now() {
                    shared.forget();
                }
                shared.first_end = shared.first_end.min(request.retain_until());
                shared.store.clone()
            };
            store.consume(request).await
        })
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        self.store().release(key, use_id, why);
    }

    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}
