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
mod pooler;
mod processes;
mod server;
#[path = "../redis/site.rs"]
mod site;
mod tls;

use std::time::{Duration, Instant};

use tower_x402::{
    clock::{TestClock, Timestamp},
    replay::{
        Consumption, ConsumptionKey, PostgresOptions, PostgresStore, ReleaseReason, ReplayStore,
        StoreError, StoreErrorKind, UseId, UseRequest,
    },
};

use self::one_use::{GRANTED, ONCE, key, take};

/// Opens a store with a clock of its own.
async fn connect(url: &str) -> PostgresStore {
    let options = PostgresOptions::new().clock(TestClock::at(NOW));
    PostgresStore::connect_with(url, options).await.unwrap()
}

/// Takes the only use of a payment.
async fn consume(store: &dyn ReplayStore, key: ConsumptionKey) -> Result<Consumption, StoreError> {
    take(store, key, ONCE, LATER).await
}

/// Waits until something is so.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let given_up = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < given_up, "{what}");
        std::thread::sleep(PAUSE);
    }
}

/// Asks for a use until the store says that the server lost something.
async fn lost(store: &dyn ReplayStore, key: ConsumptionKey) -> StoreError {
    let given_up = Instant::now() + PATIENCE;
    loop {
        match consume(store, key).await {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => return error,
            Err(error) => assert!(Instant::now() < given_up, "the loss must be found: {error}"),
            Ok(answer) => panic!("a store that lost something answered {answer:?}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks for a use until there is an answer, and gives it back after each error, as the paywall does.
async fn answered(store: &dyn ReplayStore, key: ConsumptionKey) -> Consumption {
    let given_up = Instant::now() + PATIENCE;
    loop {
        let use_id = UseId::random().unwrap();
        let request = UseRequest::new(key, use_id, ONCE, LATER);
        match store.consume(request).await {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < given_up, "service must return: {error}"),
        }
        store.release(key, use_id, ReleaseReason::NotServed);
        tokio::time::sleep(PAUSE).await;
    }
}

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const LATER: Timestamp = Timestamp::from_unix_seconds(1_800_003_600);
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a server.
const PAUSE: Duration = Duration::from_millis(20);
