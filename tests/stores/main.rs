//! The stores and the ledger of this crate under the conformance suites, killed processes, losses of power, full
//! disks and damaged files.
//!
//! Some tests need a process of their own: they start this program again with `STORES_CHILD` set.
//! If the system lacks what a test needs, the test reports that it was skipped, and fails if
//! `X402_REQUIRE_ALL=1`.

#![allow(clippy::unwrap_used)]

mod bounded;
mod broken;
mod child;
mod damaged;
mod deceived;
mod folder;
mod full_disk;
mod killed;
mod ledger;
#[cfg(unix)]
mod power_loss;
mod shared;

use std::num::NonZeroU32;

use tower_x402::{
    Network, PaymentHash,
    clock::Timestamp,
    replay::{
        ConsumptionKey, DurableOptions, DurableStore, MemoryStore, ReplayStore, StoreErrorKind,
        UseId, UseLimits, UseRequest, conformance,
    },
};

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

async fn consume(
    store: &dyn ReplayStore,
    key: ConsumptionKey,
) -> Result<tower_x402::replay::Consumption, tower_x402::replay::StoreError> {
    consume_one_of(store, key, ONCE).await
}

/// Consumes one of several uses.
async fn consume_one_of(
    store: &dyn ReplayStore,
    key: ConsumptionKey,
    limits: UseLimits,
) -> Result<tower_x402::replay::Consumption, tower_x402::replay::StoreError> {
    let use_id = UseId::random().unwrap();
    store
        .consume(UseRequest::new(key, use_id, limits, Timestamp::MAX))
        .await
}

fn key(number: u64) -> ConsumptionKey {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_le_bytes());
    ConsumptionKey::lightning(Network::Regtest, PaymentHash::from_bytes(hash))
}

const ONCE: UseLimits = UseLimits::new(NonZeroU32::MIN, 0);
