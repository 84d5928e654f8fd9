//! The store in PostgreSQL under the conformance suites and under failures, with real servers that
//! these tests start.
//!
//! If the system has no PostgreSQL, a test reports that it was skipped, and fails if
//! `X402_REQUIRE_ALL=1`.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "../stores/child.rs"]
mod child;
mod conformance;
mod expiry;
#[path = "../stores/exposed.rs"]
mod exposed;
mod failures;
mod http;
#[path = "../server/journal.rs"]
mod journal;
mod later_writes;
mod lost;
#[path = "../stores/one_use.rs"]
mod one_use;
#[path = "../stores/patience.rs"]
mod patience;
mod pooler;
mod processes;
mod server;
#[path = "../redis/site.rs"]
mod site;
mod tls;

use std::time::Duration;

use tower_x402::{
    clock::{TestClock, Timestamp},
    replay::{
        Consumption, ConsumptionKey, PostgresOptions, PostgresStore, ReleaseReason, ReplayStore,
        StoreError, UseId, UseRequest,
    },
};

use self::{
    one_use::{GRANTED, ONCE, key, take},
    patience::until,
};

/// Opens a store with a clock of its own.
async fn connect(url: &str) -> PostgresStore {
    let options = PostgresOptions::new().clock(TestClock::at(NOW));
    PostgresStore::connect_with(url, options).await.unwrap()
}

/// Takes the only use of a payment.
async fn consume(store: &dyn ReplayStore, key: ConsumptionKey) -> Result<Consumption, StoreError> {
    take(store, key, ONCE, LATER).await
}

/// Asks for a use that the server lost, until the store says so.
async fn lost(store: &dyn ReplayStore, key: ConsumptionKey) -> StoreError {
    patience::lost(async || consume(store, key).await).await
}

/// Asks for a use until there is an answer, and gives it back after each error, as the paywall does.
async fn answered(store: &dyn ReplayStore, key: ConsumptionKey) -> Consumption {
    patience::answered("service must return", async || {
        let use_id = UseId::random().unwrap();
        let request = UseRequest::new(key, use_id, ONCE, LATER);
        match store.consume(request).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                println!("no answer: {error}");
                store.release(key, use_id, ReleaseReason::NotServed);
                None
            }
        }
    })
    .await
}

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const LATER: Timestamp = Timestamp::from_unix_seconds(1_800_003_600);
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at a server.
const PAUSE: Duration = Duration::from_millis(20);
