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
mod lost;
#[path = "../stores/one_use.rs"]
mod one_use;
mod opening;
mod patience;
mod runtimes;
mod sentinel;
mod server;
mod site;
mod suites;

use std::time::Duration;

use tower_x402::{
    clock::Timestamp,
    replay::{Consumption, ConsumptionKey, RedisOptions, RedisStore, StoreError, StoreErrorKind},
};

use self::{
    one_use::{GRANTED, ONCE, key, take},
    patience::answered,
};

/// Opens a store that waits long, so that a busy machine fails no test.
async fn patient(url: &str) -> RedisStore {
    let options = RedisOptions::new().time_limit(Duration::from_secs(30));
    RedisStore::connect_with(url, options).await.unwrap()
}

/// Asks for a payment that a server lost, until the store says so.
async fn is_forgotten(store: &RedisStore, key: ConsumptionKey) {
    let ask = async || match consume(store, key).await {
        Err(error) if error.kind() == StoreErrorKind::Corrupt => Some(error.to_string()),
        Err(_) => None,
        Ok(answer) => panic!("a server that lost a write answered {answer:?}"),
    };
    let error = answered("the store says that the server has forgotten", ask).await;
    assert!(error.contains("has forgotten"), "{error}");
}

async fn consume(store: &RedisStore, key: ConsumptionKey) -> Result<Consumption, StoreError> {
    take(store, key, ONCE, Timestamp::MAX).await
}
