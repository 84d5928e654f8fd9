//! The store on Redis against real servers, which each test starts for itself.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod access;
#[allow(dead_code)]
#[path = "../stores/child.rs"]
mod child;
mod cluster;
#[path = "../stores/exposed.rs"]
mod exposed;
mod faults;
mod http;
#[path = "../server/journal.rs"]
mod journal;
mod like_memory;
mod lost;
#[path = "../stores/one_use.rs"]
mod one_use;
mod opening;
#[path = "../stores/patience.rs"]
mod patience;
mod runtimes;
mod sentinel;
mod server;
mod site;
mod suites;
mod together;

use std::time::Duration;

use tower_x402::{
    clock::{TestClock, Timestamp},
    replay::{Consumption, ConsumptionKey, RedisOptions, RedisStore, StoreError},
};

use self::one_use::{GRANTED, ONCE, key, take};

/// Opens a store that waits long, so that a busy machine fails no test.
async fn patient(url: &str) -> RedisStore {
    let options = RedisOptions::new().time_limit(Duration::from_secs(30));
    RedisStore::connect_with(url, options).await.unwrap()
}

/// Opens such a store with a clock of its own.
async fn with_clock(url: &str, clock: &TestClock) -> RedisStore {
    let options = RedisOptions::new()
        .clock(clock.clone())
        .time_limit(Duration::from_secs(30));
    RedisStore::connect_with(url, options).await.unwrap()
}

/// Asks for a payment that a server lost, until the store says so.
async fn is_forgotten(store: &RedisStore, key: ConsumptionKey) {
    let error = patience::lost(async || consume(store, key).await).await;
    let error = error.to_string();
    assert!(error.contains("has forgotten"), "{error}");
}

async fn consume(store: &RedisStore, key: ConsumptionKey) -> Result<Consumption, StoreError> {
    take(store, key, ONCE, Timestamp::MAX).await
}

const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a server.
const PAUSE: Duration = Duration::from_millis(5);
