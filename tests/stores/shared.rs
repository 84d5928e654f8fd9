//! Stores that several handles have open: the memory store and the durable one through clones of
//! their `Arc`, and a store of these tests that any number of processes may open, because each step
//! locks its file.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use futures_util::FutureExt as _;
use tower_x402::{
    Network, PaymentHash,
    clock::{Clock as _, TestClock, Timestamp},
    internals::codec::hex,
    lightning::BoxFuture,
    replay::{
        Consumption, ConsumptionKey, Durability, MemoryStore, ReleaseReason, ReplayStore,
        StoreError, StoreId, UseId, UseLimits,
        conformance::{self, Setup},
    },
};

use crate::{child, durable, memory};

/// Gives out the store of a name again while it is open.
async fn clones<S: ReplayStore>(open: impl Fn(&Setup) -> S) {
    let stores = Mutex::new(HashMap::new());
    conformance::two_handles(async |setup| {
        let mut stores = stores.lock().unwrap();
        assert_eq!(setup.is_open, stores.contains_key(&setup.name));
        Arc::clone(
            stores
                .entry(setup.name)
                .or_insert_with(|| Arc::new(open(&setup))),
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_clones_of_the_memory_store_are_one_store() {
    clones(memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_clones_of_the_durable_store_are_one_store() {
    let folder = tempfile::tempdir().unwrap();
    clones(|setup| durable(folder.path(), setup)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_any_process_may_open_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    conformance::replay_store(async |setup| FileStore::open(folder.path(), &setup)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_handles_of_a_store_that_any_process_may_open_are_one_store() {
    let folder = tempfile::tempdir().unwrap();
    conformance::two_handles(async |setup| FileStore::open(folder.path(), &setup)).await;
}

const PROCESSES: &str = "shared::two_processes_are_one_store";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_are_one_store() {
    if let Some(folder) = child::folder_of(PROCESSES) {
        let open = async |setup| FileStore::open(&folder, &setup);
        assert!(
            conformance::other_process(open).await,
            "started by the suite"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let other = child::command(PROCESSES, folder.path(), &[]);
    conformance::two_processes(async |setup| FileStore::open(folder.path(), &setup), other).await;
}

/// Each handle would take the other's uses once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_stores_that_pass_for_one_are_caught() {
    use std::panic::AssertUnwindSafe;

    let caught = async |suite: BoxFuture<'_, ()>| {
        let panic = AssertUnwindSafe(suite)
            .catch_unwind()
            .await
            .expect_err("the suite must catch it");
        panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap()
    };
    let apart = caught(Box::pin(conformance::two_handles(async |setup| {
        memory(&setup)
    })))
    .await;
    assert!(
        apart.contains("two handles of one store must have one id"),
        "{apart}"
    );
    let alike = async |setup: Setup| Alike(memory(&setup));
    let apart = caught(Box::pin(conformance::two_handles(alike))).await;
    assert!(
        apart.contains("raced for 1 uses through two handles"),
        "{apart}"
    );
}

/// Everything is shared but the moment, which each handle takes when it is opened.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handle_that_says_when_it_was_opened_is_caught() {
    use std::panic::AssertUnwindSafe;

    let stores = Mutex::new(HashMap::new());
    let suite = conformance::two_handles(async |setup: Setup| {
        let (opened, mut stores) = (setup.clock.now(), stores.lock().unwrap());
        let store = Arc::clone(
            stores
                .entry(setup.name)
                .or_insert_with(|| Arc::new(memory(&setup))),
        );
        Dated { store, opened }
    });
    let panic = AssertUnwindSafe(suite)
        .catch_unwind()
        .await
        .expect_err("the suite must catch it");
    let text = panic.downcast_ref::<String>().cloned().unwrap();
    assert!(
        text.contains("two handles of one store must say the same `created_at`"),
        "{text}"
    );
}

#[derive(Debug)]
struct Dated {
    store: Arc<MemoryStore>,
    opened: Timestamp,
}

impl ReplayStore for Dated {
    fn id(&self) -> StoreId {
        self.store.id()
    }

    fn created_at(&self) -> Timestamp {
        self.opened
    }

    fn consume(
        &self,
        key: ConsumptionKey,
        use_id: UseId,
        limits: UseLimits,
        retain_until: Timestamp,
    ) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        self.store.consume(key, use_id, limits, retain_until)
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        self.store.release(key, use_id, why);
    }

    fn durability(&self) -> Durability {
        self.store.durability()
    }
}

/// A store of its own that bears the name of all others.
#[derive(Debug)]
struct Alike(MemoryStore);

impl ReplayStore for Alike {
    fn id(&self) -> StoreId {
        StoreId::from_bytes([7; 16])
    }

    fn created_at(&self) -> Timestamp {
        self.0.created_at()
    }

    fn consume(
        &self,
        key: ConsumptionKey,
        use_id: UseId,
        limits: UseLimits,
        retain_until: Timestamp,
    ) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        self.0.consume(key, use_id, limits, retain_until)
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        self.0.release(key, use_id, why);
    }

    fn durability(&self) -> Durability {
        self.0.durability()
    }
}

/// All that was ever asked, a line each, in a file that is locked for each step. Every handle
/// replays what the others asked in a memory store of its own, and answers from that.
#[derive(Debug)]
struct FileStore {
    id: StoreId,
    created_at: Timestamp,
    clock: TestClock,
    replayed: Mutex<Replayed>,
}

#[derive(Debug)]
struct Replayed {
    path: PathBuf,
    read_until: u64,
    clock: TestClock,
    store: MemoryStore,
}

impl FileStore {
    fn open(folder: &Path, setup: &Setup) -> Self {
        let path = folder.join(setup.name.to_string());
        let mut file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .unwrap();
        file.lock().unwrap();
        let mut head = String::new();
        if BufReader::new(&file).read_line(&mut head).unwrap() == 0 {
            let id = StoreId::random().unwrap();
            head = format!("{} {}\n", hex::encode(id.as_bytes()), setup.clock.now());
            file.write_all(head.as_bytes()).unwrap();
        }
        let (id, created_at) = head.trim_end().split_once(' ').unwrap();
        let clock = TestClock::at(setup.clock.now());
        let store = MemoryStore::new().unwrap().with_clock(clock.clone());
        let store = match setup.capacity {
            Some(keys) => store.with_capacity(keys),
            None => store,
        };
        Self {
            id: StoreId::from_bytes(hex::decode_lower(id).unwrap()),
            created_at: Timestamp::from_unix_seconds(created_at.parse().unwrap()),
            clock: setup.clock.clone(),
            replayed: Mutex::new(Replayed {
                path,
                read_until: head.len() as u64,
                clock,
                store,
            }),
        }
    }

    /// The answer to what is asked, after all that was asked before by anyone.
    fn ask(&self, step: Step) -> Result<Consumption, StoreError> {
        let mut replayed = self.replayed.lock().unwrap();
        let mut file = File::options()
            .read(true)
            .append(true)
            .open(&replayed.path)
            .unwrap();
        file.lock().unwrap();
        file.seek(SeekFrom::Start(replayed.read_until)).unwrap();
        for line in BufReader::new(&file).lines() {
            let line = line.unwrap();
            let (at, step) = line.split_once(' ').unwrap();
            let _ = replayed.apply(
                Timestamp::from_unix_seconds(at.parse().unwrap()),
                Step::read(step),
            );
        }
        let now = self.clock.now();
        file.write_all(format!("{now} {}\n", step.text()).as_bytes())
            .unwrap();
        replayed.read_until = file.seek(SeekFrom::End(0)).unwrap();
        replayed.apply(now, step)
    }
}

impl Replayed {
    fn apply(&self, at: Timestamp, step: Step) -> Result<Consumption, StoreError> {
        self.clock.set(at);
        match step {
            Step::Consume(key, id, limits, until) => self
                .store
                .consume(key, id, limits, until)
                .now_or_never()
                .expect("a store in memory answers at once"),
            Step::Release(key, id, why) => {
                self.store.release(key, id, why);
                Ok(Consumption::Spent)
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Step {
    Consume(ConsumptionKey, UseId, UseLimits, Timestamp),
    Release(ConsumptionKey, UseId, ReleaseReason),
}

impl Step {
    fn text(self) -> String {
        let name = |key: ConsumptionKey, id: UseId| {
            format!(
                "{} {} {}",
                key.network().caip2(),
                key.payment_hash(),
                hex::encode(id.as_bytes())
            )
        };
        match self {
            Self::Consume(key, id, limits, until) => format!(
                "{} {} {} {until}",
                name(key, id),
                limits.uses,
                limits.restores
            ),
            Self::Release(key, id, why) => format!(
                "{} {}",
                name(key, id),
                if why == ReleaseReason::Failed {
                    "failed"
                } else {
                    "not"
                }
            ),
        }
    }

    fn read(text: &str) -> Self {
        let words: Vec<&str> = text.split(' ').collect();
        let hash = PaymentHash::from_bytes(hex::decode_lower(words[1]).unwrap());
        let key = ConsumptionKey::new(Network::from_caip2(words[0]).unwrap(), hash);
        let id = UseId::from_bytes(hex::decode_lower(words[2]).unwrap());
        match words[3..] {
            [uses, restores, until] => {
                let limits = UseLimits::new(uses.parse().unwrap(), restores.parse().unwrap());
                Self::Consume(
                    key,
                    id,
                    limits,
                    Timestamp::from_unix_seconds(until.parse().unwrap()),
                )
            }
            [why] => Self::Release(
                key,
                id,
                if why == "failed" {
                    ReleaseReason::Failed
                } else {
                    ReleaseReason::NotServed
                },
            ),
            _ => panic!("{text:?}"),
        }
    }
}

impl ReplayStore for FileStore {
    fn id(&self) -> StoreId {
        self.id
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn consume(
        &self,
        key: ConsumptionKey,
        use_id: UseId,
        limits: UseLimits,
        retain_until: Timestamp,
    ) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        Box::pin(async move { self.ask(Step::Consume(key, use_id, limits, retain_until)) })
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        let _ = self.ask(Step::Release(key, use_id, why));
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }
}
