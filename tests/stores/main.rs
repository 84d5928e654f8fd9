//! The stores and the ledger of this crate under the conformance suites, killed processes, losses of power, full
//! disks and damaged files.
//!
//! Some tests need a process of their own: they start this program again with `STORES_CHILD` set.
//! If the system lacks what a test needs, the test reports that it was skipped, and fails if
//! `X402_REQUIRE_ALL=1`.

#![allow(clippy::unwrap_used)]

mod bounded;
mod broken;
mod caught;
mod child;
mod damaged;
mod deceived;
mod folder;
mod full_disk;
mod killed;
mod ledger;
mod one_use;
#[cfg(unix)]
mod power_loss;
mod shared;

use tower_x402::{
    clock::Timestamp,
    replay::{
        Consumption, ConsumptionKey, DurableOptions, DurableStore, MemoryStore, ReplayStore,
        StoreError, StoreErrorKind, UseLimits, conformance,
    },
};

use self::one_use::{GRANTED, ONCE, key, take};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_store_keeps_the_contract() {
    conformance::replay_store(async |setup| memory(&setup)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_store_keeps_records() {
    conformance::records(async |setup| memory(&setup), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_durable_store_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    conformance::replay_store(async |setup| durable(folder.path(), &setup)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_durable_store_keeps_records() {
    let folder = tempfile::tempdir().unwrap();
    conformance::records(async |setup| durable(folder.path(), &setup), true).await;
}

#[tokio::test]
async fn a_store_that_is_full_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let two = std::num::NonZeroUsize::new(2).unwrap();
    let memory = MemoryStore::new().unwrap().with_capacity(two);
    let durable =
        DurableStore::open_with(folder.path(), DurableOptions::new().capacity(two)).unwrap();
    for store in [&memory as &dyn ReplayStore, &durable] {
        for number in 0..2 {
            let _ = consume(store, key(number)).await.unwrap();
        }
        assert_eq!(
            consume(store, key(2)).await.unwrap_err().kind(),
            StoreErrorKind::Full
        );
    }
}

fn memory(setup: &conformance::Setup) -> MemoryStore {
    let store = MemoryStore::new().unwrap().with_clock(setup.clock.clone());
    match setup.capacity {
        Some(keys) => store.with_capacity(keys),
        None => store,
    }
}

fn durable(folder: &std::path::Path, setup: &conformance::Setup) -> DurableStore {
    let options = DurableOptions::new().clock(setup.clock.clone());
    let options = match setup.capacity {
        Some(keys) => options.capacity(keys),
        None => options,
    };
    DurableStore::open_with(folder.join(setup.name.to_string()), options).unwrap()
}

async fn consume(store: &dyn ReplayStore, key: ConsumptionKey) -> Result<Consumption, StoreError> {
    consume_one_of(store, key, ONCE).await
}

/// Consumes one of several uses.
async fn consume_one_of(
    store: &dyn ReplayStore,
    key: ConsumptionKey,
    limits: UseLimits,
) -> Result<Consumption, StoreError> {
    take(store, key, limits, Timestamp::MAX).await
}
