//! The delay before a lost connection is made again.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{Set, open, options::Options};
use crate::{invoice, journal::Journal};

/// The time is paused, so that no test waits for the delay before the next attempt.
#[tokio::test(start_paused = true)]
async fn a_relay_that_only_takes_connections_is_tried_ever_more_rarely() {
    let set = Set::with(Options::default()).await;
    let _wallet = open(&set.receiver.url).await.unwrap();
    let relay = Arc::clone(&set.relay.inner);
    relay.ends_subscriptions.store(true, Ordering::SeqCst);
    set.relay.kill().await;
    set.relay.up().await;
    let (connections, start) = (relay.connections.load(Ordering::SeqCst), Instant::now());
    while relay.connections.load(Ordering::SeqCst) < connections + 4 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let least = Duration::from_secs(1 + 2 + 4 + 8);
    assert!(start.elapsed() >= least, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn after_an_answer_of_the_wallet_a_lost_connection_is_made_again_soon() {
    let journal = Journal::begin();
    let set = Set::with(Options::default()).await;
    let wallet = open(&set.receiver.url).await.unwrap();
    for lost in 1..=3 {
        set.relay.kill().await;
        set.relay.up().await;
        while journal.lines().matches("attempt is in 1 s").count() < lost {
            tokio::task::yield_now().await;
            let said = journal.lines();
            assert!(!said.contains("attempt is in 2 s"), "{said}");
        }
        invoice(&wallet, 10, 60).await;
    }
}
