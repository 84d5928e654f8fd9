//! Measures the cost of one use in each store, and compares the durable store with its engine.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tower_x402::{
    Network, PaymentHash, Preimage,
    clock::Timestamp,
    internals::replay::{RawEngine, RawRecord},
    replay::{
        Consumption, ConsumptionKey, DurableStore, MemoryStore, ReplayStore, UseId, UseLimits,
        UseRequest,
    },
};

fn memory(criterion: &mut Criterion) {
    let runtime = runtime();
    let store = MemoryStore::new()
        .unwrap()
        .with_capacity(usize::MAX.try_into().unwrap());
    let mut number = 0;
    let mut group = criterion.benchmark_group("memory");
    group.throughput(Throughput::Elements(1));
    group.bench_function("consume", |bencher| {
        bencher.iter_custom(|rounds| {
            let keys: Vec<_> = (0..rounds)
                .map(|at| (key(number + at), use_id(number + at)))
                .collect();
            number += rounds;
            let start = Instant::now();
            runtime.block_on(async {
                for (key, id) in keys {
                    assert_ne!(
                        store
                            .consume(UseRequest::new(key, id, ONCE, Timestamp::MAX))
                            .await
                            .unwrap(),
                        Consumption::Spent
                    );
                }
            });
            start.elapsed()
        });
    });
}

fn durable(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("durable");
    group
        .throughput(Throughput::Elements(1))
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));

    let folder = tempfile::tempdir().unwrap();
    let mut engine = RawEngine::create(folder.path()).unwrap();
    let mut first = 0;
    group.bench_function("engine alone, batches of 64", |bencher| {
        bencher.iter_custom(|rounds| {
            let batches: Vec<Vec<_>> = (0..rounds.div_ceil(CALLERS))
                .map(|batch| {
                    (0..CALLERS)
                        .map(|at| raw(first + batch * CALLERS + at))
                        .collect()
                })
                .collect();
            let written = batches.len() as u64 * CALLERS;
            first += written;
            let start = Instant::now();
            for batch in batches {
                engine.write(batch).unwrap();
            }
            start.elapsed().mul_f64(rounds as f64 / written as f64)
        });
    });

    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(DurableStore::open(folder.path()).unwrap());
    let runtime = runtime();
    let next = Arc::new(AtomicU64::new(0));
    group.bench_function("consume, 64 callers", |bencher| {
        bencher.iter_custom(|rounds| {
            let end = next.load(Ordering::Relaxed) + rounds;
            let start = Instant::now();
            runtime.block_on(async {
                let mut callers = tokio::task::JoinSet::new();
                for _ in 0..CALLERS {
                    callers.spawn(call_until(end, store.clone(), next.clone()));
                }
                callers.join_all().await;
            });
            next.store(end, Ordering::Relaxed);
            start.elapsed()
        });
    });
    group.bench_function("consume, one caller", |bencher| {
        bencher.iter_custom(|rounds| {
            let end = next.load(Ordering::Relaxed) + rounds;
            let start = Instant::now();
            runtime.block_on(call_until(end, store.clone(), next.clone()));
            next.store(end, Ordering::Relaxed);
            start.elapsed()
        });
    });
}

async fn call_until(end: u64, store: Arc<DurableStore>, next: Arc<AtomicU64>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end {
            return;
        }
        let answer = store
            .consume(UseRequest::new(
                key(number),
                use_id(number),
                ONCE,
                Timestamp::MAX,
            ))
            .await
            .unwrap();
        assert_ne!(answer, Consumption::Spent);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn raw(number: u64) -> RawRecord {
    RawRecord::new(key(number), use_id(number))
}

fn key(number: u64) -> ConsumptionKey {
    ConsumptionKey::lightning(Network::Bitcoin, hash(number))
}

fn hash(number: u64) -> PaymentHash {
    let mut preimage = [0; 32];
    preimage[..8].copy_from_slice(&number.to_le_bytes());
    Preimage::from_bytes(preimage).payment_hash()
}

fn use_id(number: u64) -> UseId {
    UseId::from_bytes(u128::from(number).to_le_bytes())
}

const CALLERS: u64 = 64;
const ONCE: UseLimits = UseLimits::new(NonZeroU32::MIN, 2);

criterion_group!(benches, memory, durable);
criterion_main!(benches);
