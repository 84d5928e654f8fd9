//! Rows that expire, by the clocks of the applications.

use std::{num::NonZeroU32, time::Instant};

use tower_x402::{
    clock::{TestClock, Timestamp},
    replay::{
        Consumption, PostgresOptions, PostgresStore, RecordKey, Records as _, ReleaseReason,
        ReplayStore, UseId, UseLimits, UseRequest,
    },
};

use crate::{
    GRANTED, LATER, NOW, ONCE, PATIENCE, consume, key, one_use::give_back, server::Server,
};

async fn open(server: &Server, clock: &TestClock) -> PostgresStore {
    let options = PostgresOptions::new().clock(clock.clone());
    PostgresStore::connect_with(&server.url("s"), options)
        .await
        .unwrap()
}

async fn consume_until(store: &PostgresStore, number: u64, retain_until: Timestamp) -> Consumption {
    let use_id = UseId::random().unwrap();
    store
        .consume(UseRequest::new(key(number), use_id, ONCE, retain_until))
        .await
        .unwrap()
}

fn after(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(NOW.as_unix_seconds() + seconds)
}

/// Consumes other payments until the table holds no more than `most` rows that expired.
async fn prune(server: &Server, store: &PostgresStore, now: Timestamp, most: usize) {
    let given_up = Instant::now() + PATIENCE;
    let mut number = 1_000_000;
    let expired = format!(
        "SELECT count(*) FROM s.entries WHERE expires_at < {}",
        now.as_unix_seconds()
    );
    while server.sql(&expired).parse::<usize>().unwrap() > most {
        assert!(Instant::now() < given_up, "what expired must be removed");
        for _ in 0..64 {
            number += 1;
            let _ = consume_until(store, number, after(90_000)).await;
        }
    }
}

#[tokio::test]
async fn expired_rows_are_removed_and_stay_spent() {
    let Some(server) = Server::start() else {
        return;
    };
    let clock = TestClock::at(NOW);
    let store = open(&server, &clock).await;
    for number in 0..600 {
        assert_eq!(consume_until(&store, number, after(100)).await, GRANTED);
    }
    let record = RecordKey::new(b"record").unwrap();
    assert!(
        store
            .put_if_absent(record.clone(), vec![1], after(100))
            .await
            .unwrap()
    );
    clock.set(after(101));
    prune(&server, &store, after(101), 0).await;
    assert_eq!(store.get(record).await.unwrap(), None);
    assert_eq!(
        consume_until(&store, 7, after(100)).await,
        Consumption::Spent
    );
    assert_eq!(consume_until(&store, 7, after(101)).await, GRANTED);
}

#[tokio::test]
async fn the_uses_of_a_payment_are_forgotten_after_ten_minutes_but_for_the_last_five() {
    let Some(server) = Server::start() else {
        return;
    };
    let clock = TestClock::at(NOW);
    let store = open(&server, &clock).await;
    let limits = UseLimits::new(NonZeroU32::new(100).unwrap(), 0);
    let ids: Vec<_> = (0..9).map(|_| UseId::random().unwrap()).collect();
    let consume = async |id| {
        let request = UseRequest::new(key(1), id, limits, after(90_000));
        match store.consume(request).await.unwrap() {
            Consumption::Granted { remaining } => remaining,
            answer => panic!("{answer:?}"),
        }
    };
    for (id, remaining) in ids.iter().zip((0..100).rev()) {
        assert_eq!(consume(*id).await, remaining);
    }
    clock.set(after(600));
    for (id, remaining) in ids.iter().zip((0..100).rev()) {
        assert_eq!(
            consume(*id).await,
            remaining,
            "for ten minutes all are known"
        );
    }
    clock.set(after(601));
    prune(&server, &store, after(601), 0).await;
    for (id, remaining) in ids.iter().zip((0..100).rev()).skip(4) {
        assert_eq!(consume(*id).await, remaining, "the last five are known");
    }
    assert_eq!(consume(ids[0]).await, 90, "another use");
}

#[tokio::test]
async fn a_use_is_known_for_ten_minutes_although_a_clock_that_is_behind_gave_it_back() {
    let Some(server) = Server::start() else {
        return;
    };
    let clock = TestClock::at(after(500));
    let store = open(&server, &clock).await;
    let use_id = UseId::random().unwrap();
    let request = || UseRequest::new(key(1), use_id, ONCE, LATER);
    assert_eq!(store.consume(request()).await.unwrap(), GRANTED);
    clock.set(NOW);
    store.release(key(1), use_id, ReleaseReason::NotServed);
    assert_eq!(store.consume(request()).await.unwrap(), Consumption::Spent);
    let ends = "SELECT expires_at FROM s.entries WHERE get_byte(key, 0) = 117";
    let expected = after(500 + 600).as_unix_seconds().to_string();
    assert_eq!(server.sql(ends), expected);
}

#[tokio::test]
async fn a_process_whose_clock_is_ahead_frees_no_payment_for_the_others() {
    let Some(server) = Server::start() else {
        return;
    };
    let (right, ahead) = (TestClock::at(NOW), TestClock::at(after(3_601)));
    let (here, there) = (open(&server, &right).await, open(&server, &ahead).await);
    assert_eq!(here.created_at(), there.created_at());
    assert_eq!(consume(&here, key(1)).await.unwrap(), GRANTED);
    prune(&server, &there, after(3_601), 0).await;
    for store in [&here, &there] {
        assert_eq!(consume(store, key(1)).await.unwrap(), Consumption::Spent);
    }
    assert_eq!(
        consume_until(&here, 2, LATER).await,
        Consumption::Spent,
        "none is known that long"
    );
    assert_eq!(consume_until(&here, 2, after(3_601)).await, GRANTED);
}

#[tokio::test]
async fn what_was_given_back_is_written_once_the_store_is_flushed() {
    let Some(server) = Server::start() else {
        return;
    };
    let clock = TestClock::at(NOW);
    let (one, other) = (open(&server, &clock).await, open(&server, &clock).await);
    give_back(&one, 0..1_000).await;
    for number in (0..1_000).rev().step_by(37) {
        assert_eq!(consume(&other, key(number)).await.unwrap(), GRANTED);
    }
}
