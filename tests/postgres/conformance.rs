//! The suites that every store must pass.

use tower_x402::replay::{
    PostgresOptions, PostgresStore, RecordKey, Records as _,
    conformance::{self, Setup},
};

use crate::{GRANTED, child, connect, consume, key, server::Server};

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

/// However many there are: each statement answers with a page of them.
#[tokio::test]
async fn a_scan_reads_some_records_at_a_time() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = connect(&server.url("s")).await;
    server.sql(
        "CREATE TABLE s.pages (records bigint);
         ALTER FUNCTION s.read_1 RENAME TO read_page;
         CREATE FUNCTION s.read_1(bytea, bigint, boolean, bigint, bytea, bytea, bigint)
         RETURNS TABLE (found_key bytea, found_value bytea) LANGUAGE plpgsql AS $$ BEGIN
             RETURN QUERY SELECT * FROM s.read_page($1, $2, $3, $4, $5, $6, $7);
             INSERT INTO s.pages SELECT count(*) FROM s.read_page($1, $2, $3, $4, $5, $6, $7);
         END $$",
    );
    let record = |name: &str| RecordKey::new(name.as_bytes()).unwrap();
    for (prefix, number) in [("none", 0), ("few", 5), ("page", 128), ("many", 300)] {
        server.sql(&format!(
            "DELETE FROM s.pages;
             INSERT INTO s.entries (key, expires_at, version, value, at)
                 SELECT convert_to('r{prefix}' || to_char(n, '000'), 'UTF8'), 9e18, 1, 'v', 9e18
                 FROM generate_series(1, {number}) n"
        ));
        let found = store.scan(record(prefix)).await.unwrap();
        let expected = (1..=number).map(|n| (record(&format!("{prefix} {n:03}")), b"v".to_vec()));
        assert_eq!(found, expected.collect::<Vec<_>>());
        let longest: i32 = server
            .sql("SELECT max(records) FROM s.pages")
            .parse()
            .unwrap();
        assert!(longest <= 128, "{longest} records in one answer");
    }
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
async fn handles_whose_clocks_differ_are_one_store() {
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.url("s");
    conformance::clocks_that_differ(async |setup| open(&url, setup).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_are_one_store() {
    let test = "conformance::two_processes_are_one_store";
    if is_other_process(test).await {
        return;
    }
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.url("s");
    let other = child::command(test, &url, &[]);
    conformance::two_processes(async |setup| open(&url, setup).await, other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_processes_are_one_store() {
    let test = "conformance::many_processes_are_one_store";
    if is_other_process(test).await {
        return;
    }
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.url("s");
    let others = (0..5).map(|_| child::command(test, &url, &[]));
    conformance::many_processes(async |setup| open(&url, setup).await, others).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_killed_and_starts_again_grants_nothing_twice() {
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.url("s");
    conformance::interrupted(
        async |setup| open(&url, setup).await,
        async || {
            server.restart();
            server.restart();
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_standby_that_each_commit_waited_for_takes_over_and_grants_nothing_twice() {
    let Some(server) = Server::start() else {
        return;
    };
    let standby = server.standby_elsewhere();
    standby.resume();
    // The standby has a copy of the configuration of before.
    server.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
    server.sql("SELECT pg_reload_conf()");
    let ports = [server.port, standby.port].map(|port| format!("127.0.0.1:{port}"));
    let url = format!("postgres://x402@{}/postgres?schema=s", ports.join(","));
    conformance::interrupted(
        async |setup| open(&url, setup).await,
        async || {
            server.kill();
            standby.promote();
        },
    )
    .await;
}

/// Returns whether this is a process that a test started on a URL, after it did what it was started
/// for.
async fn is_other_process(test: &str) -> bool {
    let Some(url) = child::place_of(test) else {
        return false;
    };
    let url = url.into_string().unwrap();
    assert!(conformance::other_process(async |setup| open(&url, setup).await).await);
    true
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
