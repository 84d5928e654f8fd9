//! A process that is killed while it consumes: whatever it acknowledged stays spent.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader},
    sync::Arc,
    time::{Duration, Instant},
};

use tower_x402::{
    clock::Timestamp,
    replay::{Consumption, DurableStore, Limits, Release, ReplayStore, UseId},
};

use crate::{child, consume, key};

const TEST: &str = "killed::what_was_acknowledged_outlives_a_kill";
const ROUNDS: u64 = 30;

/// Keys of a round, each bought for two uses.
const TWICE: Limits = Limits::new(std::num::NonZeroU32::new(2).unwrap(), 0);

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    if let Some(folder) = child::folder_of(TEST) {
        return consume_until_killed(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let given_up = Instant::now() + Duration::from_secs(20);
    let (mut acknowledged, mut rounds, mut first_new) = (HashSet::new(), 0, 0);
    while rounds < ROUNDS && Instant::now() < given_up {
        let mut child = child::command(TEST, folder.path(), &[]).env("STORES_FIRST", first_new.to_string()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            lines
                .lines()
                .map_while(Result::ok)
                .filter_map(|line| line.strip_prefix("> ")?.parse::<u64>().ok())
                .collect::<Vec<_>>()
        });
        std::thread::sleep(Duration::from_millis(100 + rounds * 37 % 200));
        child.kill().unwrap();
        child.wait().unwrap();
        let heard = reader.join().unwrap();
        first_new = first_new.max(heard.iter().max().map_or(0, |number| number + 10_000));
        acknowledged.extend(heard);
        rounds += 1;

        let store = DurableStore::open(folder.path()).unwrap();
        for number in &acknowledged {
            let answer = runtime.block_on(consume(&store, key(*number))).unwrap();
            assert_eq!(answer, Consumption::Spent, "payment {number} was acknowledged twice before round {rounds}");
        }
    }
    assert!(acknowledged.len() > 1_000, "only {} payments were acknowledged in {rounds} rounds", acknowledged.len());
    eprintln!("{rounds} kills, {} payments acknowledged", acknowledged.len());
}

/// Says the number of each payment of which both uses were granted. Some third uses are given back on the way.
fn consume_until_killed(folder: &std::path::Path) {
    let first: u64 = std::env::var("STORES_FIRST").unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(DurableStore::open(folder).unwrap());
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..16 {
            let store = store.clone();
            callers.spawn(async move {
                for number in (first + caller..).step_by(16) {
                    let given_back = UseId::random().unwrap();
                    let _ = store.consume(key(number), given_back, TWICE, Timestamp::MAX).await.unwrap();
                    store.release(key(number), given_back, Release::NotServed);
                    for _ in 0..2 {
                        let answer = store.consume(key(number), UseId::random().unwrap(), TWICE, Timestamp::MAX).await.unwrap();
                        assert_ne!(answer, Consumption::Spent);
                    }
                    child::say(number);
                }
            });
        }
        callers.join_all().await;
    });
}
