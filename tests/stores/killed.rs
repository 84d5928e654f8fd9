//! A process is killed while it consumes: what it acknowledged stays spent.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tower_x402::{
    clock::Timestamp,
    replay::{Consumption, DurableStore, ReleaseReason, ReplayStore, UseId, UseLimits, UseRequest},
};

use crate::{child, key};

const TEST: &str = "killed::what_was_acknowledged_outlives_a_kill";
const ROUNDS: u64 = 30;
const ENOUGH: Duration = Duration::from_secs(20);
const GIVE_UP: Duration = Duration::from_secs(240);

/// Keys of a round, each bought for two uses.
const TWICE: UseLimits = UseLimits::new(std::num::NonZeroU32::new(2).unwrap(), 0);

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    if let Some(folder) = child::folder_of(TEST) {
        return consume_until_killed(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let started = Instant::now();
    let (mut granted, mut acknowledged, mut rounds) = (HashMap::new(), 0, 0);
    // A slow machine runs fewer rounds, but enough of them to show something.
    while rounds < ROUNDS && started.elapsed() < ENOUGH
        || acknowledged <= 1_000 && started.elapsed() < GIVE_UP
    {
        for number in heard_until_killed(folder.path(), rounds) {
            *granted.entry(number).or_insert(0) += 1;
            acknowledged += 1;
        }
        rounds += 1;

        let store = DurableStore::open(folder.path()).unwrap();
        for (number, granted) in &mut granted {
            while runtime.block_on(consume_twice(&store, *number)) != Consumption::Spent {
                *granted += 1;
                assert!(
                    *granted <= 2,
                    "payment {number} bought two uses; round {rounds} granted another"
                );
            }
            *granted = 2;
        }
    }
    assert!(
        acknowledged > 1_000,
        "only {acknowledged} uses were acknowledged in {rounds} rounds"
    );
    eprintln!("{rounds} kills, {acknowledged} uses acknowledged");
}

/// Returns the payments of which the child reported a granted use before it was killed.
fn heard_until_killed(folder: &Path, round: u64) -> Vec<u64> {
    let first = round * 1_000_000;
    let mut child = child::command(TEST, folder, &[])
        .env("STORES_FIRST", first.to_string())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut heard = Vec::new();
        for line in lines.lines().map_while(Result::ok) {
            heard.extend(
                line.strip_prefix("> ")
                    .and_then(|line| line.parse::<u64>().ok()),
            );
        }
        heard
    });
    std::thread::sleep(Duration::from_millis(100 + round * 37 % 200));
    assert!(
        child.try_wait().unwrap().is_none(),
        "the child ended by itself"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

async fn consume_twice(store: &DurableStore, number: u64) -> Consumption {
    store
        .consume(UseRequest::new(
            key(number),
            UseId::random().unwrap(),
            TWICE,
            Timestamp::MAX,
        ))
        .await
        .unwrap()
}

/// Reports the number of a payment each time that a use of it was granted. Before that, another use
/// of it is taken and given back.
fn consume_until_killed(folder: &Path) {
    let first: u64 = std::env::var("STORES_FIRST").unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Arc::new(DurableStore::open(folder).unwrap());
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..16 {
            let store = store.clone();
            callers.spawn(async move {
                for number in (first + caller..).step_by(16) {
                    let given_back = UseId::random().unwrap();
                    let _ = store
                        .consume(UseRequest::new(
                            key(number),
                            given_back,
                            TWICE,
                            Timestamp::MAX,
                        ))
                        .await
                        .unwrap();
                    store.release(key(number), given_back, ReleaseReason::NotServed);
                    for _ in 0..2 {
                        assert_ne!(consume_twice(&store, number).await, Consumption::Spent);
                        child::say(number);
                    }
                }
            });
        }
        callers.join_all().await;
    });
}
