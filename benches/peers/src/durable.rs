//! Durable consumption by 64 callers, beside the engine with one writer.

use std::{
    num::NonZeroU32,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;
use tower_x402::{
    DurableStore, Network, PaymentHash,
    clock::{Clock as _, SystemClock},
    replay::{
        Consumption, ConsumptionKey, Limits, ReplayStore as _, UseId,
        conformance::{RawEngine, RawRecord},
    },
};

use crate::{measure::median_of, report::Row};

const CALLERS: usize = 64;
/// Of each caller in a round.
const CALLS: usize = 50;
const ROUNDS: usize = 41;

pub fn rows(runtime: &Runtime, folder: &Path) -> Vec<Row> {
    let (ours, raw) = (folder.join("store"), folder.join("raw"));
    std::fs::create_dir(&raw).expect("a folder");
    let store = Arc::new(DurableStore::open(ours).expect("a store"));
    let mut engine = RawEngine::create(&raw).expect("an engine");
    let mut keys = Keys(0);
    let mut round = |is_ours_first: bool| {
        let mut taken = [0.0; 2];
        for turn in [is_ours_first, !is_ours_first] {
            let batches: Vec<Vec<_>> = (0..CALLERS).map(|_| keys.take(CALLS)).collect();
            if turn {
                let time = runtime.block_on(consume(&store, batches));
                taken[0] = (CALLERS * CALLS) as f64 / time.as_secs_f64();
            } else {
                let record = |(key, use_id): (ConsumptionKey, UseId)| RawRecord::new(key, use_id);
                let batch = |i: usize| batches.iter().map(|keys| record(keys[i])).collect();
                let batches: Vec<Vec<_>> = (0..CALLS).map(batch).collect();
                let start = Instant::now();
                batches.into_iter().for_each(|records| engine.write(records).expect("space on the disk"));
                taken[1] = (CALLERS * CALLS) as f64 / start.elapsed().as_secs_f64();
            }
        }
        taken
    };
    round(true);
    let rounds: Vec<[f64; 2]> = (0..ROUNDS).map(|i| round(i % 2 == 0)).collect();
    let medians = (median_of(&rounds, |t| t[0]), median_of(&rounds, |t| t[1]), median_of(&rounds, |t| t[0] / t[1]));
    vec![Row::rate("durable consume, 64 callers / the engine's own batches", 0.9, medians)]
}

async fn consume(store: &Arc<DurableStore>, batches: Vec<Vec<(ConsumptionKey, UseId)>>) -> Duration {
    let limits = Limits::new(NonZeroU32::MIN, 2);
    let until = SystemClock::new().now().saturating_add(Duration::from_secs(86_400));
    let start = Instant::now();
    let callers: Vec<_> = batches
        .into_iter()
        .map(|keys| {
            let store = store.clone();
            tokio::spawn(async move {
                for (key, use_id) in keys {
                    let answer = store.consume(key, use_id, limits, until).await;
                    assert_eq!(answer.expect("space on the disk"), Consumption::Granted { remaining: 0 });
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("a use for each");
    }
    start.elapsed()
}

/// Payment hashes that never repeat and are spread as hashes are.
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
            (ConsumptionKey::new(Network::Regtest, PaymentHash::from_bytes(hash)), UseId::random().expect("randomness"))
        };
        (0..count).map(|_| one()).collect()
    }
}
