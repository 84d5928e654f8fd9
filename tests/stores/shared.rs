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
    clock::{Clock as _, TestClock, Timestamp},
    internals::codec::hex,
    lightning::BoxFuture,
    replay::{
        Consumption, ConsumptionKey, Durability, MemoryStore, ReleaseReason, ReplayStore,
        StoreError, StoreId, UseId, UseLimits, UseRequest,
        conformance::{self, Setup},
    },
};

use crate::{caught::caught, child, durable, memory};

/// Returns the store of a name again if it is open.
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

const CROWD: &str = "shared::many_processes_are_one_store";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_processes_are_one_store() {
    if let Some(folder) = child::folder_of(CROWD) {
        assert!(conformance::other_process(async |setup| FileStore::open(&folder, &setup)).await);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let others = (0..3).map(|_| child::command(CROWD, folder.path(), &[]));
    conformance::many_processes(async |setup| FileStore::open(folder.path(), &setup), others).await;
}

/// With two stores behind one name, each use could be taken twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_stores_that_pass_for_one_are_caught() {
    let apart = caught(conformance::two_handles(async |setup| memory(&setup))).await;
    assert!(
        apart.contains("two handles of one store must have one id"),
        "{apart}"
    );
    let alike = async |setup: Setup| Alike(memory(&setup));
    let apart = caught(conformance::two_handles(alike)).await;
    assert!(
        apart.contains("raced for 1 uses through two handles"),
        "{apart}"
    );
}

/// Two handles share everything except `created_at`, which each sets when it is opened.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handle_that_says_when_it_was_opened_is_caught() {
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
    let text = caught(suite).await;
    assert!(
        text.contains("two handles of one store must return the same `created_at`"),
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

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        self.store.consume(request)
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        self.store.release(key, use_id, why);
    }

    fn durability(&self) -> Durability {
        self.store.durability()
    }
}

/// A store that claims the id of another store.
#[derive(Debug)]
struct Alike(MemoryStore);

impl ReplayStore for Alike {
    fn id(&self) -> StoreId {
        StoreId::from_bytes([7; 16])
    }

    fn created_at(&self) -> Timestamp {
        self.0.created_at()
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        self.0.consume(request)
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        self.0.release(key, use_id, why);
    }

    fn durability(&self) -> Durability {
        self.0.durability()
    }
}

/// A store that writes each request as a line to one file, and locks the file for each step. Every
/// handle replays the lines of all others in a memory store of its own, and answers from that.
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
            head = format!(
                "{} {}\n",
                hex::encode(id.as_bytes()),
                setup.clock.now().as_unix_seconds()
            );
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

    /// Applies all steps that others wrote since, then this one, and returns its answer.
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
        file.write_all(format!("{} {}\n", now.as_unix_seconds(), step.text()).as_bytes())
            .unwrap();
        replayed.read_until = file.seek(SeekFrom::End(0)).unwrap();
        replayed.apply(now, step)
    }
}

impl Replayed {
    fn apply(&self, at: Timestamp, step: Step) -> Result<Consumption, StoreError> {
        self.clock.set(at);
        match step {
            Step::Consume(request) => self
                .store
                .consume(request)
                .now_or_never()
                .expect("a store in memory answers at once"),
            Step::Release(key, id, why) => {
                self.store.release(key, id, why);
                Ok(Consumption::Spent)
            }
        }
    }
}

#[derive(Clone)]
enum Step {
    Consume(UseRequest),
    Release(ConsumptionKey, UseId, ReleaseReason),
}

impl Step {
    fn text(&self) -> String {
        let name = |key: ConsumptionKey, id: UseId| {
            format!(
                "{} {}",
                hex::encode(key.as_bytes()),
                hex::encode(id.as_bytes())
            )
        };
        match self {
            Self::Consume(request) => format!(
                "{} {} {} {}",
                name(request.key(), request.use_id()),
                request.limits().uses,
                request.limits().restores,
                request.retain_until().as_unix_seconds()
            ),
            Self::Release(key, id, why) => format!(
                "{} {}",
                name(*key, *id),
                if *why == ReleaseReason::Failed {
                    "failed"
                } else {
                    "not"
                }
            ),
        }
    }

    fn read(text: &str) -> Self {
        let words: Vec<&str> = text.split(' ').collect();
        let key = hex::decode_lower::<33>(words[0]).unwrap();
        let key = ConsumptionKey::from_bytes(&key).unwrap();
        let id = UseId::from_bytes(hex::decode_lower(words[1]).unwrap());
        match words[2..] {
            [uses, restores, until] => {
                let limits = UseLimits::new(uses.parse().unwrap(), restores.parse().unwrap());
                let until = Timestamp::from_unix_seconds(until.parse().unwrap());
                Self::Consume(UseRequest::new(key, id, limits, until))
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

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        Box::pin(async move { self.ask(Step::Consume(request)) })
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        let _ = self.ask(Step::Release(key, use_id, why));
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }
}
