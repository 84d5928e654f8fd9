//! The suites that every store must pass.

use tower_x402::replay::{
    PostgresOptions, PostgresStore,
    conformance::{self, Setup},
};

use crate::{GRANTED, connect, consume, key, server::Server};

/// The variable that tells a child the server.
const URL: &str = "POSTGRES_URL";

async fn open(url: &str, setup: Setup) -> PostgresStore {
    let url = format!("{url}_{}", setup.name);
    let options = PostgresOptions::new().clock(setup.clock);
    PostgresStore::connect_with(&url, options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_keeps_the_contract() {
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.url("s");
    conformance::replay_store(async |setup| open(&url, setup).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_keeps_records() {
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.url("s");
    conformance::records(async |setup| open(&url, setup).await, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_handles_are_one_store() {
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.url("s");
    conformance::two_handles(async |setup| open(&url, setup).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_are_one_store() {
    if let Ok(url) = std::env::var(URL) {
        assert!(conformance::other_process(async |setup| open(&url, setup).await).await);
        return;
    }
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.url("s");
    let mut other = std::process::Command::new(std::env::current_exe().unwrap());
    other.env(URL, &url).args([
        "conformance::two_processes_are_one_store",
        "--exact",
        "--nocapture",
    ]);
    conformance::two_processes(async |setup| open(&url, setup).await, other).await;
}

#[tokio::test]
async fn a_role_that_owns_the_schema_needs_no_right_on_the_database() {
    let Some(server) = Server::start() else {
        return;
    };
    server.sql("CREATE ROLE shop LOGIN; CREATE SCHEMA s AUTHORIZATION shop");
    let url = server.url("s").replace("x402@", "shop@");
    let store = connect(&url).await;
    assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
    let other = url.replace("schema=s", "schema=another");
    let error = PostgresStore::connect(&other).await.unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
}
