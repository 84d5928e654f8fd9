//! Neither one payer nor a clock that is wrong for a while can fill a store.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use tower_x402::{
    clock::{Clock as _, TestClock, Timestamp},
    replay::{
        Consumption, DurableOptions, DurableStore, MemoryStore, ReleaseReason, ReplayStore,
        StoreErrorKind, UseId, UseLimits, UseRequest,
    },
};

use crate::{GRANTED, ONCE, consume, consume_one_of, key};

#[tokio::test]
async fn a_payment_that_comes_back_again_and_again_takes_no_room() {
    let two = Stores::new(10);
    for store in two.each() {
        for _ in 0..100 {
            let id = UseId::random().unwrap();
            assert_eq!(
                store
                    .consume(UseRequest::new(key(1), id, ONCE, Timestamp::MAX))
                    .await
                    .unwrap(),
                GRANTED
            );
            store.release(key(1), id, ReleaseReason::NotServed);
        }
        // The same with one use between the grant and the release.
        let limits = UseLimits::new(NonZeroU32::new(3).unwrap(), 0);
        let mut before = UseId::random().unwrap();
        let _ = store
            .consume(UseRequest::new(key(2), before, limits, Timestamp::MAX))
            .await
            .unwrap();
        for _ in 0..100 {
            let id = UseId::random().unwrap();
            assert_ne!(
                store
                    .consume(UseRequest::new(key(2), id, limits, Timestamp::MAX))
                    .await
                    .unwrap(),
                Consumption::Spent
            );
            store.release(
                key(2),
                std::mem::replace(&mut before, id),
                ReleaseReason::NotServed,
            );
        }
        for number in 3..9 {
            assert_eq!(
                consume(store, key(number)).await.unwrap(),
                GRANTED,
                "payment {number}"
            );
        }
    }
}

#[tokio::test]
async fn one_payment_for_many_uses_is_remembered_within_a_bound() {
    let two = Stores::new(1_030);
    let limits = UseLimits::new(NonZeroU32::MAX, 0);
    for store in two.each() {
        let mut ids = Vec::new();
        for number in 0..1_200 {
            let id = UseId::random().unwrap();
            ids.push(id);
            let answer = store
                .consume(UseRequest::new(key(1), id, limits, Timestamp::MAX))
                .await;
            assert!(answer.is_ok(), "use {number}: {answer:?}");
        }
        assert_eq!(consume(store, key(2)).await.unwrap(), GRANTED);
        let again = store
            .consume(UseRequest::new(
                key(1),
                ids[1_199 - 1_024],
                limits,
                Timestamp::MAX,
            ))
            .await
            .unwrap();
        let Consumption::Granted { remaining } = again else {
            panic!("it was granted before")
        };
        assert_eq!(
            u32::MAX - remaining,
            1_200 - 1_024,
            "the same answer as the first time"
        );
    }
}

#[tokio::test]
async fn after_a_clock_that_was_wrong_for_a_while_uses_are_forgotten_as_before() {
    let two = Stores::new(20);
    let many = UseLimits::new(NonZeroU32::new(1_000).unwrap(), 0);
    for store in two.each() {
        let now = two.clock.now();
        two.clock.advance(Duration::from_secs(30 * 86_400));
        for _ in 0..15 {
            let _ = consume_one_of(store, key(1), many).await.unwrap();
        }
        two.clock.set(now);
        for number in 0..100 {
            two.clock.advance(Duration::from_secs(300));
            let answer = consume_one_of(store, key(1), many).await;
            assert!(
                answer.is_ok(),
                "one use in five minutes, and use {number} has no room: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_use_that_fails_hours_later_comes_back_although_others_came_after_it() {
    let two = Stores::new(20);
    let limits = UseLimits::new(NonZeroU32::new(5).unwrap(), 2);
    for store in two.each() {
        let slow = UseId::random().unwrap();
        let _ = store
            .consume(UseRequest::new(key(1), slow, limits, Timestamp::MAX))
            .await
            .unwrap();
        for _ in 0..4 {
            two.clock.advance(Duration::from_secs(3_600));
            let _ = consume_one_of(store, key(1), limits).await.unwrap();
        }
        two.clock.advance(Duration::from_secs(3_600));
        store.release(key(1), slow, ReleaseReason::Failed);
        let answer = consume_one_of(store, key(1), limits).await.unwrap();
        assert_eq!(answer, GRANTED);
    }
}

#[tokio::test]
async fn the_last_uses_are_remembered_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::at(Timestamp::from_unix_seconds(1_800_000_000));
    let open = || {
        DurableStore::open_with(folder.path(), DurableOptions::new().clock(clock.clone())).unwrap()
    };
    let limits = UseLimits::new(NonZeroU32::new(100).unwrap(), 100);
    let ids: Vec<UseId> = (0..20).map(|_| UseId::random().unwrap()).collect();
    let store = open();
    for id in &ids {
        let _ = store
            .consume(UseRequest::new(key(1), *id, limits, Timestamp::MAX))
            .await
            .unwrap();
    }
    drop(store);
    let store = open();
    clock.advance(Duration::from_secs(3_600));
    for number in 2..12 {
        let _ = consume(&store, key(number)).await.unwrap();
    }
    for id in &ids {
        store.release(key(1), *id, ReleaseReason::Failed);
    }
    let answer = consume_one_of(&store, key(1), limits).await.unwrap();
    assert_eq!(
        answer,
        Consumption::Granted {
            remaining: 100 - (20 - 5) - 1
        },
        "the last five came back"
    );
}

#[tokio::test]
async fn room_is_free_again_once_a_payment_has_ended() {
    let two = Stores::new(10);
    let limits = UseLimits::new(NonZeroU32::new(5).unwrap(), 2);
    for store in two.each() {
        let end = two.clock.now().saturating_add(Duration::from_secs(7_200));
        for _ in 0..5 {
            two.clock.advance(Duration::from_secs(700));
            let _ = store
                .consume(UseRequest::new(
                    key(1),
                    UseId::random().unwrap(),
                    limits,
                    end,
                ))
                .await
                .unwrap();
        }
        two.clock.set(end.saturating_add(Duration::from_secs(1)));
        for number in 2..12 {
            assert_eq!(
                consume(store, key(number)).await.unwrap(),
                GRANTED,
                "payment {number}"
            );
        }
        assert_eq!(
            consume(store, key(12)).await.unwrap_err().kind(),
            StoreErrorKind::Full
        );
    }
}

#[tokio::test]
async fn what_a_store_forgot_in_one_place_it_vouches_for_in_none() {
    let two = Stores::new(1_000);
    for store in two.each() {
        let end = two.clock.now().saturating_add(Duration::from_secs(100));
        let spend = |number| {
            store.consume(UseRequest::new(
                key(number),
                UseId::random().unwrap(),
                ONCE,
                end,
            ))
        };
        assert_eq!(spend(1).await.unwrap(), GRANTED);
        two.clock.advance(Duration::from_secs(101));
        for number in 2..500 {
            let _ = consume(store, key(number)).await.unwrap();
        }
        assert_eq!(spend(1).await.unwrap(), Consumption::Spent);
        for number in 500..600 {
            assert_eq!(
                spend(number).await.unwrap(),
                Consumption::Spent,
                "payment {number}"
            );
        }
    }
}

/// One of each kind.
struct Stores {
    clock: TestClock,
    memory: MemoryStore,
    durable: DurableStore,
    _folder: tempfile::TempDir,
}

impl Stores {
    fn new(capacity: usize) -> Self {
        let capacity = NonZeroUsize::new(capacity).unwrap();
        let clock = TestClock::at(Timestamp::from_unix_seconds(1_800_000_000));
        let folder = tempfile::tempdir().unwrap();
        let options = DurableOptions::new()
            .capacity(capacity)
            .clock(clock.clone());
        Self {
            memory: MemoryStore::new()
                .unwrap()
                .with_capacity(capacity)
                .with_clock(clock.clone()),
            durable: DurableStore::open_with(folder.path(), options).unwrap(),
            clock,
            _folder: folder,
        }
    }

    fn each(&self) -> [&dyn ReplayStore; 2] {
        [&self.memory, &self.durable]
    }
}
