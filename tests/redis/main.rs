//! The store on Redis against real servers, which each test starts for itself.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod access;
mod cluster;
mod faults;
mod http;
mod lost;
mod sentinel;
mod server;
mod site;
mod suites;

use std::{num::NonZeroU32, time::Duration};

use tower_x402::{
    Network, PaymentHash,
    clock::Timestamp,
    replay::{
        Consumption, ConsumptionKey, RedisOptions, RedisStore, ReplayStore as _, StoreError, UseId,
        UseLimits, UseRequest,
    },
};

/// Opens a store that waits long, so that a busy machine fails no test.
async fn patient(url: &str) -> RedisStore {
    let options = RedisOptions::new().time_limit(Duration::from_secs(30));
    RedisStore::connect_with(url, options).await.unwrap()
}

async fn consume(store: &RedisStore, key: ConsumptionKey) -> Result<Consumption, StoreError> {
    let use_id = UseId::random().unwrap();
    store
        .consume(UseRequest::new(key, use_id, ONCE, Timestamp::MAX))
        .await
}

fn key(number: u64) -> ConsumptionKey {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_le_bytes());
    ConsumptionKey::lightning(Network::Regtest, PaymentHash::from_bytes(hash))
}

const ONCE: UseLimits = UseLimits::new(NonZeroU32::MIN, 0);
const GRANTED: Consumption = Consumption::Granted { remaining: 0 };
