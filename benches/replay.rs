//! Consuming a payment: in memory, and in a folder by one caller and by 64.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use tower_x402::{
    DurableStore, MemoryStore, Network, PaymentHash,
    clock::{Clock as _, SystemClock},
    replay::{Consumption, ConsumptionKey, Limits, ReplayStore, UseId},
};

async fn consume(store: &dyn ReplayStore) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut hash = [0; 32];
    let next = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash[..8].copy_from_slice(&next.to_le_bytes());
    let key = ConsumptionKey::new(Network::Regtest, PaymentHash::from_bytes(hash));
    let until = SystemClock::new().now().saturating_add(Duration::from_secs(3600));
    let use_id = UseId::random().expect("randomness");
    let answer = store.consume(key, use_id, Limits::new(NonZeroU32::MIN, 2), until).await;
    assert_eq!(answer.expect("room"), Consumption::Granted { remaining: 0 });
}

/// `times` payments, by `callers` at once.
async fn consume_all(store: Arc<dyn ReplayStore>, callers: u64, times: u64) -> Duration {
    let start = Instant::now();
    let callers: Vec<_> = (0..callers)
        .map(|caller| {
            let (store, share) = (store.clone(), times / callers + u64::from(caller < times % callers));
            tokio::spawn(async move {
                for _ in 0..share {
                    consume(&*store).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("a use for each");
    }
    start.elapsed()
}

fn replay(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let memory = MemoryStore::new().expect("randomness").with_capacity(NonZeroUsize::MAX);
    let durable = DurableStore::open(folder.path()).expect("a store");
    let stores: [(&str, Arc<dyn ReplayStore>, u64); 3] = {
        let durable: Arc<dyn ReplayStore> = Arc::new(durable);
        [("in memory", Arc::new(memory), 1), ("durable, one caller", durable.clone(), 1), ("durable, 64 callers", durable, 64)]
    };
    let mut group = c.benchmark_group("consume");
    for (name, store, callers) in stores {
        group.bench_function(name, |b| {
            b.iter_custom(|times| runtime.block_on(consume_all(store.clone(), callers, times)));
        });
    }
    group.finish();
}

criterion_group!(benches, replay);
criterion_main!(benches);
