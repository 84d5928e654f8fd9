//! Servers that are down, slow, full or read-only: calls fail in bounded time, and service returns
//! without a restart.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;
use tower_x402::{
    clock::TestClock,
    replay::{
        Consumption, PostgresOptions, PostgresStore, RecordKey, Records as _, ReleaseReason,
        ReplayStore as _, StoreError, StoreErrorKind, UseId, UseRequest,
    },
};

use crate::{
    GRANTED, LATER, NOW, ONCE, answered, child, connect, consume, journal::Journal, key,
    server::Server,
};

#[tokio::test]
async fn a_server_that_is_down_is_an_error_and_service_returns_without_a_restart() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = connect(&server.url("s")).await;
    assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
    for round in 0..2 {
        server.kill();
        for number in 0..20 {
            let error = consume(&store, key(100 + number)).await.unwrap_err();
            let kinds = [StoreErrorKind::Refused, StoreErrorKind::Unavailable];
            assert!(kinds.contains(&error.kind()), "{error:?}");
        }
        assert!(store.ready().await.is_err());
        server.resume();
        assert_eq!(answered(&store, key(2 + round)).await, GRANTED);
        assert!(store.ready().await.is_ok());
        assert_eq!(consume(&store, key(1)).await.unwrap(), Consumption::Spent);
    }
}

/// Also what a connection was asked at the moment of the crash, which the store repeats.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_granted_while_the_server_crashed_is_spent() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = Arc::new(connect(&server.url("s")).await);
    let (next, is_over) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let (store, next, is_over) = (store.clone(), next.clone(), is_over.clone());
        callers.spawn(async move {
            let mut granted = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if consume(&*store, key(number))
                    .await
                    .is_ok_and(|answer| answer == GRANTED)
                {
                    granted.push(number);
                }
                tokio::task::yield_now().await;
            }
            granted
        });
    }
    for round in 0..2 {
        server.restart();
        let _ = answered(&*store, key(u64::MAX - round)).await;
    }
    is_over.store(true, Ordering::Relaxed);
    let granted: Vec<_> = callers.join_all().await.into_iter().flatten().collect();
    assert!(!granted.is_empty());
    let mut checks = JoinSet::new();
    for some in granted.chunks(granted.len().div_ceil(64)) {
        let (store, some) = (store.clone(), some.to_vec());
        checks.spawn(async move {
            for number in some {
                let answer = consume(&*store, key(number)).await.unwrap();
                assert_eq!(answer, Consumption::Spent, "{number}");
            }
        });
    }
    checks.join_all().await;
}

#[tokio::test]
async fn a_server_that_is_slow_is_an_error_in_bounded_time_and_what_was_released_comes_back() {
    let Some(server) = Server::start() else {
        return;
    };
    let options = PostgresOptions::new().clock(TestClock::at(NOW));
    let options = options.time_limit(Duration::from_millis(300));
    let store = PostgresStore::connect_with(&server.url("s"), options)
        .await
        .unwrap();
    let mut session = server.session();
    let mut asks = session.stdin.take().unwrap();
    writeln!(asks, "BEGIN; LOCK TABLE s.entries; SELECT 'locked';").unwrap();
    let mut answers = BufReader::new(session.stdout.take().unwrap()).lines();
    assert_eq!(answers.next().unwrap().unwrap(), "locked");

    let use_id = UseId::random().unwrap();
    let request = UseRequest::new(key(1), use_id, ONCE, LATER);
    let error = store.consume(request).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    store.release(key(1), use_id, ReleaseReason::NotServed);
    assert!(store.ready().await.is_err());

    drop(asks);
    session.wait().unwrap();
    assert_eq!(answered(&store, key(1)).await, GRANTED);
    assert_eq!(answered(&store, key(1)).await, Consumption::Spent);
}

#[tokio::test]
async fn a_time_limit_that_is_longer_than_any_is_one_day() {
    let Some(server) = Server::start() else {
        return;
    };
    let options = PostgresOptions::new().clock(TestClock::at(NOW));
    let store = PostgresStore::connect_with(&server.url("s"), options.time_limit(Duration::MAX))
        .await
        .unwrap();
    assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
    store.ready().await.unwrap();
}

#[tokio::test]
async fn a_server_that_became_read_only_refuses_and_service_returns_without_a_restart() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = connect(&server.url("s")).await;
    let spent = key(u64::MAX);
    assert_eq!(consume(&store, spent).await.unwrap(), GRANTED);
    server.sql("ALTER SYSTEM SET default_transaction_read_only = on");
    server.sql("SELECT pg_reload_conf()");
    let error = failed(&store, 0).await;
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("read-only"), "{error}");
    assert!(consume(&store, spent).await.is_err() && store.ready().await.is_err());
    server.sql("ALTER SYSTEM RESET default_transaction_read_only");
    server.sql("SELECT pg_reload_conf()");
    assert_eq!(answered(&store, key(50_000)).await, GRANTED);
    assert_eq!(answered(&store, spent).await, Consumption::Spent);
}

#[tokio::test]
async fn a_server_whose_disk_is_full_says_so_and_service_returns_once_there_is_space() {
    let Some(server) = Server::start() else {
        return;
    };
    let Some(small) = small_disk(&server) else {
        return;
    };
    let store = connect(&server.url("s")).await;
    server.sql(&format!("CREATE TABLESPACE small LOCATION '{small}'"));
    server.sql("ALTER TABLE s.entries SET TABLESPACE small");
    let name = |number: u32| RecordKey::new(&number.to_be_bytes()).unwrap();
    let mut written = 0;
    let error = loop {
        // Random, so that it cannot be compressed.
        let mut value = vec![0; 60_000];
        value.chunks_mut(16).for_each(|chunk| {
            chunk.copy_from_slice(&UseId::random().unwrap().as_bytes()[..chunk.len()])
        });
        match store.put_if_absent(name(written), value, LATER).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1_000, "the disk must be full soon");
    };
    assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
    assert!(written > 0);
    server.sql("ALTER TABLE s.entries SET TABLESPACE pg_default");
    assert_eq!(answered(&store, key(1)).await, GRANTED);
    assert!(store.get(name(0)).await.unwrap().is_some());
}

#[tokio::test]
async fn the_durability_is_what_the_server_is_configured_for() {
    use tower_x402::replay::Durability::{Durable, Volatile};

    let Some(server) = Server::start() else {
        return;
    };
    let url = server.url("s");
    assert_eq!(connect(&url).await.durability(), Durable);
    server.sql("ALTER ROLE x402 SET synchronous_commit = off");
    let journal = Journal::begin();
    assert_eq!(connect(&url).await.durability(), Volatile);
    let lines = journal.lines();
    assert!(lines.contains("set `synchronous_commit = on`"), "{lines}");
    server.sql("ALTER ROLE x402 RESET synchronous_commit");
    server.sql("ALTER TABLE s.entries SET UNLOGGED");
    assert_eq!(connect(&url).await.durability(), Volatile);
    let lines = journal.lines();
    assert!(
        lines.contains("run `ALTER TABLE s.entries SET LOGGED`"),
        "{lines}"
    );
    server.sql("ALTER TABLE s.entries SET LOGGED");
    let store = connect(&url).await;
    assert_eq!(store.durability(), Durable);

    server.sql("ALTER SYSTEM SET fsync = off");
    server.sql("SELECT pg_reload_conf()");
    let error = failed(&store, 0).await;
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    assert!(error.to_string().contains("fsync"), "{error}");
    assert_eq!(connect(&url).await.durability(), Volatile);
    let lines = journal.lines();
    assert!(lines.contains("set `fsync = on` at the server"), "{lines}");
}

#[tokio::test]
async fn a_durable_store_waits_for_the_disk_even_if_the_server_is_told_not_to() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = connect(&server.url("s")).await;
    server.sql(
        "CREATE TABLE noted (setting text);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO noted VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER note AFTER INSERT ON s.entries DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note();
         ALTER ROLE x402 SET synchronous_commit = off;",
    );
    // So that the store has sessions with the new setting.
    server.restart();
    assert_eq!(answered(&store, key(1)).await, GRANTED);
    assert_eq!(server.sql("SELECT DISTINCT setting FROM noted"), "on");
}

/// Consumes payments from a number on until that fails.
async fn failed(store: &PostgresStore, from: u64) -> StoreError {
    let mut number = from;
    loop {
        match consume(store, key(number)).await {
            Ok(_) => number += 1,
            Err(error) => return error,
        }
        assert!(number < from + 10_000, "the server must refuse soon");
    }
}

/// Starts the server again with a small file system that only it sees. Returns its folder, or
/// `None` if this system allows none.
pub(crate) fn small_disk(server: &Server) -> Option<String> {
    let small = server.folder().join("small");
    std::fs::create_dir(&small).unwrap();
    let mounts = format!(
        "mount -t tmpfs -o size=3m none {small} && mkdir {small}/space && chown postgres: {small}/space && exec \"$@\"",
        small = small.display()
    );
    let can = std::process::Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "none"])
        .arg(&small)
        .output();
    if !can.is_ok_and(|output| output.status.success()) {
        child::skip("this system lets nobody mount a small file system (`unshare --mount`)");
        return None;
    }
    server.kill();
    server.resume_in(&["unshare", "--mount", "sh", "-c", &mounts, "sh"]);
    Some(small.join("space").display().to_string())
}
