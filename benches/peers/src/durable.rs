//! Compares durable consumption by 64 callers with the raw engine, and with the engine behind one
//! writer that serves the same callers.
//!
//! The target is for the raw engine. `src/docs/design.md` says what limits that row. The second
//! comparison has the same callers on both sides, and no target.

use std::{
    num::NonZeroU32,
    path::Path,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    time::{Duration, Instant},
};

use tokio::{runtime::Runtime, sync::oneshot};
use tower_x402::{
    DurableStore, Network, PaymentHash,
    clock::{Clock as _, SystemClock},
    internals::replay::{RawEngine, RawRecord},
    replay::{Consumption, ConsumptionKey, ReplayStore as _, UseId, UseLimits, UseRequest},
};

use crate::{
    measure::{beside, rates},
    report::Row,
};

pub const CALLERS: usize = 64;
/// How many uses each caller consumes in a round.
pub const CALLS: usize = 50;
const ROUNDS: usize = 161;

pub fn rows(runtime: &Runtime, folder: &Path) -> Vec<Row> {
    let store = Arc::new(DurableStore::open(folder.join("store")).expect("a store"));
    let writer = Writer::start(engine(&folder.join("writer")));
    let mut alone = engine(&folder.join("alone"));
    let mut keys = Keys(0);
    let rounds = rates(ROUNDS, CALLERS * CALLS, |who| {
        let batches: Vec<Vec<_>> = (0..CALLERS).map(|_| keys.take(CALLS)).collect();
        match who {
            0 => runtime.block_on(by_callers(batches, &store, consume)),
            1 => runtime.block_on(by_callers(records(batches), &writer, Writer::write)),
            _ => by_itself(&mut alone, &records(batches)),
        }
    });
    vec![
        Row::rate(
            "durable consume, 64 callers / its raw engine",
            0.9,
            beside(&rounds, 2),
        ),
        Row::rate(
            "the same / its engine behind a writer, same callers",
            0.9,
            beside(&rounds, 1),
        ),
    ]
}

fn engine(folder: &Path) -> RawEngine {
    std::fs::create_dir(folder).expect("a folder");
    RawEngine::create(folder).expect("an engine")
}

fn records(batches: Vec<Vec<(ConsumptionKey, UseId)>>) -> Vec<Vec<RawRecord>> {
    let records = |keys: Vec<_>| {
        keys.into_iter()
            .map(|(key, use_id)| RawRecord::new(key, use_id))
            .collect()
    };
    batches.into_iter().map(records).collect()
}

/// Consumes each batch in its own task, one call after the other.
pub async fn by_callers<S, T, F>(
    batches: Vec<Vec<T>>,
    to: &Arc<S>,
    call: fn(Arc<S>, T) -> F,
) -> Duration
where
    S: Send + Sync + ?Sized + 'static,
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let start = Instant::now();
    let caller = |batch: Vec<T>| {
        let to = to.clone();
        tokio::spawn(async move {
            for one in batch {
                call(to.clone(), one).await;
            }
        })
    };
    let callers: Vec<_> = batches.into_iter().map(caller).collect();
    for caller in callers {
        caller.await.expect("every call is answered");
    }
    start.elapsed()
}

async fn consume(store: Arc<DurableStore>, (key, use_id): (ConsumptionKey, UseId)) {
    let until = SystemClock::new()
        .now()
        .saturating_add(Duration::from_secs(86_400));
    let answer = store
        .consume(UseRequest::new(
            key,
            use_id,
            UseLimits::new(NonZeroU32::MIN, 2),
            until,
        ))
        .await;
    assert_eq!(
        answer.expect("space on the disk"),
        Consumption::Granted { remaining: 0 }
    );
}

/// Writes batches with one record of each caller.
fn by_itself(engine: &mut RawEngine, records: &[Vec<RawRecord>]) -> Duration {
    let batches: Vec<Vec<_>> = (0..CALLS)
        .map(|i| records.iter().map(|records| records[i].clone()).collect())
        .collect();
    let start = Instant::now();
    batches
        .into_iter()
        .for_each(|batch| engine.write(batch).expect("space on the disk"));
    start.elapsed()
}

type Ask = (RawRecord, oneshot::Sender<()>);

/// The engine behind one writer with group commit, without any of a store's decisions.
struct Writer(Sender<Ask>);

impl Writer {
    fn start(mut engine: RawEngine) -> Arc<Self> {
        let (sender, queue) = mpsc::channel();
        std::thread::spawn(move || {
            let (mut before, mut took) = (1, Duration::ZERO);
            while let Some(group) = gather(&queue, before, took / 2) {
                before = group.len();
                let (records, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
                let start = Instant::now();
                engine.write(records).expect("space on the disk");
                took = start.elapsed();
                answers
                    .into_iter()
                    .for_each(|answer| answer.send(()).expect("somebody waits"));
            }
        });
        Arc::new(Self(sender))
    }

    async fn write(self: Arc<Self>, record: RawRecord) {
        let (answer, answered) = oneshot::channel();
        self.0.send((record, answer)).expect("the writer");
        answered.await.expect("an answer");
    }
}

/// Collects the waiting calls. First it waits, as long as the store does, for the callers of the
/// last group to call again.
fn gather(queue: &Receiver<Ask>, before: usize, at_most: Duration) -> Option<Vec<Ask>> {
    let until = Instant::now() + at_most.min(Duration::from_millis(1));
    let mut group = Vec::with_capacity(CALLERS);
    while group.len() < before && before > 1 && Instant::now() < until {
        match queue.try_recv() {
            Ok(ask) => group.push(ask),
            Err(TryRecvError::Empty) => std::thread::yield_now(),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
    if group.is_empty() {
        group.push(queue.recv().ok()?);
    }
    group.extend(queue.try_iter());
    Some(group)
}

/// Returns payment hashes that never repeat and are distributed like hashes.
struct Keys(u64);

impl Keys {
    fn take(&mut self, count: usize) -> Vec<(ConsumptionKey, UseId)> {
        let mut one = || {
            let mut hash = [0; 32];
            for part in hash.as_chunks_mut::<8>().0 {
                self.0 += 1;
                let mut mixed = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                *part = (mixed ^ (mixed >> 31)).to_le_bytes();
            }
            (
                ConsumptionKey::lightning(Network::Regtest, PaymentHash::from_bytes(hash)),
                UseId::random().expect("randomness"),
            )
        };
        (0..count).map(|_| one()).collect()
    }
}
