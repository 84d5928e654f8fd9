//! Uses that are taken or ended at the same time: one script takes them all.

use std::num::NonZeroU32;

use futures_util::future::join_all;
use tower_x402::{
    clock::{TestClock, Timestamp},
    replay::{
        Consumption, RecordKey, Records as _, ReleaseReason, ReplayStore as _, StoreErrorKind,
        UseId, UseLimits, UseRequest,
    },
};

use crate::{
    GRANTED, ONCE, consume, key,
    one_use::{give_back, take},
    patient,
    server::{Server, programs},
    with_clock,
};

const PAYMENTS: &str = "{shop/1024}:p";

/// More callers than one script serves, and some of them want the same payment.
#[tokio::test]
async fn of_many_uses_at_once_each_payment_is_granted_as_often_as_it_was_bought() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let store = patient(&server.url("shop")).await;
        let limits = |number| UseLimits::new(NonZeroU32::new(number).unwrap(), 0);
        for _ in 0..2 {
            let uses = (0..600_u64).map(|call| {
                let number = call % 100;
                let bought = if number < 50 { 1 } else { 3 };
                take(&store, key(number), limits(bought), Timestamp::MAX)
            });
            let answers: Vec<_> = join_all(uses)
                .await
                .into_iter()
                .map(Result::unwrap)
                .collect();
            for number in 0..100 {
                let of_payment = answers.iter().skip(number).step_by(100);
                let mut remaining: Vec<_> = of_payment
                    .filter_map(|answer| match answer {
                        Consumption::Granted { remaining } => Some(*remaining),
                        _ => None,
                    })
                    .collect();
                remaining.sort_unstable();
                let is_first = server.ask(&["HGET", "{shop/1024}:m", "tested"]).is_empty();
                let expected: &[u32] = match (is_first, number < 50) {
                    (true, true) => &[0],
                    (true, false) => &[0, 1, 2],
                    (false, _) => &[],
                };
                assert_eq!(remaining, expected, "payment {number}");
            }
            server.ask(&["HSET", "{shop/1024}:m", "tested", "1"]);
        }
        assert_eq!(server.ask(&["HLEN", PAYMENTS]), "100");
        let scripts = server.ask(&["INFO", "commandstats"]);
        let calls = scripts
            .split_once("cmdstat_evalsha:calls=")
            .and_then(|(_, rest)| rest.split(',').next()?.parse::<u32>().ok());
        let (calls, made) = (calls.unwrap(), 1_025 + 2);
        assert!(
            calls < made + 100,
            "1,200 uses took {} scripts",
            calls - made
        );
    }
}

#[tokio::test]
async fn a_use_that_was_ended_before_it_was_taken_is_refused_among_others() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let store = patient(&server.url("shop")).await;
        let ids: Vec<_> = (0..300).map(|_| UseId::random().unwrap()).collect();
        for (number, id) in (0..).zip(&ids).step_by(10) {
            store.release(key(number), *id, ReleaseReason::NotServed);
        }
        store.flush().await;
        let uses = (0..).zip(&ids).map(|(number, id)| {
            store.consume(UseRequest::new(key(number), *id, ONCE, Timestamp::MAX))
        });
        for (number, answer) in join_all(uses).await.into_iter().enumerate() {
            let expected = if number % 10 == 0 {
                Consumption::Spent
            } else {
                GRANTED
            };
            assert_eq!(answer.unwrap(), expected, "payment {number}");
        }
    }
}

#[tokio::test]
async fn uses_that_are_given_back_at_once_are_there_again() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let store = patient(&server.url("shop")).await;
        for _ in 0..2 {
            let uses = (0..300).map(|number| {
                let (store, id) = (&store, UseId::random().unwrap());
                async move {
                    let use_it = UseRequest::new(key(number), id, ONCE, Timestamp::MAX);
                    assert_eq!(store.consume(use_it).await.unwrap(), GRANTED);
                    store.release(key(number), id, ReleaseReason::NotServed);
                }
            });
            join_all(uses).await;
        }
        let again = join_all((0..300).map(|number| consume(&store, key(number)))).await;
        assert!(again.into_iter().all(|answer| answer.unwrap() == GRANTED));
        let again = join_all((0..300).map(|number| consume(&store, key(number)))).await;
        assert!(
            again
                .into_iter()
                .all(|answer| answer.unwrap() == Consumption::Spent)
        );
    }
}

#[tokio::test]
async fn what_was_given_back_is_written_once_the_store_is_flushed() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let (one, other) = (
            patient(&server.url("shop")).await,
            patient(&server.url("shop")).await,
        );
        give_back(&one, 0..1_000).await;
        for number in (0..1_000).rev().step_by(37) {
            assert_eq!(consume(&other, key(number)).await.unwrap(), GRANTED);
        }
    }
}

#[tokio::test]
async fn what_has_expired_is_forgotten_and_what_was_prolonged_is_not() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let at = |seconds| Timestamp::from_unix_seconds(1_800_000_000 + seconds);
        let clock = TestClock::at(at(0));
        let store = with_clock(&server.url("shop"), &clock).await;
        let take_all = async |numbers: std::ops::Range<u64>, until: u64| {
            let uses = numbers.map(|number| {
                // Not all have the same end.
                take(&store, key(number), ONCE, at(until + number % 700))
            });
            join_all(uses)
                .await
                .into_iter()
                .map(Result::unwrap)
                .collect::<Vec<_>>()
        };
        let held = || server.ask(&["HLEN", PAYMENTS]).parse::<u64>().unwrap();
        assert!(
            take_all(0..2_000, 1_000)
                .await
                .iter()
                .all(|it| *it == GRANTED)
        );
        // Some are asked for again with a later end, together and alone.
        assert!(
            take_all(0..100, 9_000)
                .await
                .iter()
                .all(|it| *it == Consumption::Spent)
        );
        assert_eq!(
            take(&store, key(100), ONCE, at(9_000)).await.unwrap(),
            Consumption::Spent
        );
        clock.set(at(1_000 + 700 + 256));
        let mut number = 10_000;
        while held() > 101 + (number - 10_000) {
            assert!(number < 10_000 + 4_000, "{} are still held", held());
            take_all(number..number + 200, 100_000).await;
            assert_eq!(
                take(&store, key(number + 200), ONCE, at(100_000))
                    .await
                    .unwrap(),
                GRANTED
            );
            number += 201;
        }
        let answer = take(&store, key(1_999), ONCE, at(1_000)).await.unwrap();
        assert_eq!(answer, Consumption::Spent, "it could have been taken");
        assert!(
            take_all(0..101, 9_000)
                .await
                .iter()
                .all(|it| *it == Consumption::Spent)
        );
        clock.set(at(9_000 + 700 + 256));
        while held() > number - 10_000 {
            assert!(number < 10_000 + 9_000, "{} are still held", held());
            take_all(number..number + 200, 100_000).await;
            number += 200;
        }
        // Calls that come alone make room too.
        clock.set(at(100_000 + 700 + 256));
        let mut alone = 0;
        while held() > alone || alone == 0 {
            assert!(alone < 20_000, "{} are still held", held());
            let answer = take(&store, key(50_000 + alone), ONCE, at(200_000)).await;
            assert_eq!(answer.unwrap(), GRANTED);
            alone += 1;
        }
    }
}

/// As if it had been made on a cluster, and moved here.
#[tokio::test]
async fn where_payments_are_was_decided_when_the_store_was_made() {
    for program in programs() {
        let server = Server::start(program, &[]);
        drop(patient(&server.url("shop")).await);
        assert_eq!(server.ask(&["HGET", "{shop}:store", "together"]), "1");
        server.ask(&["HSET", "{shop}:store", "together", "0"]);
        let (one, other) = (
            patient(&server.url("shop")).await,
            patient(&server.url("shop")).await,
        );
        for number in 0..20 {
            assert_eq!(consume(&one, key(number)).await.unwrap(), GRANTED);
            assert_eq!(
                consume(&other, key(number)).await.unwrap(),
                Consumption::Spent
            );
        }
        assert_eq!(server.ask(&["EXISTS", PAYMENTS]), "0");
        let buckets = server.ask(&["--scan", "--pattern", "{shop/*}:p"]);
        assert!(buckets.lines().count() > 10);
    }
}

/// A server whose memory is full queues nothing for a transaction.
#[tokio::test]
async fn on_a_full_server_uses_at_once_are_answered_as_if_they_came_alone() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let store = patient(&server.url("shop")).await;
        let (spent, given_back) = (UseId::random().unwrap(), UseId::random().unwrap());
        let of = |number, id| UseRequest::new(key(number), id, ONCE, Timestamp::MAX);
        assert_eq!(store.consume(of(1, spent)).await.unwrap(), GRANTED);
        assert_eq!(store.consume(of(2, given_back)).await.unwrap(), GRANTED);
        store.release(key(9), UseId::random().unwrap(), ReleaseReason::NotServed);
        store.flush().await;
        let record = || RecordKey::new(b"a record").unwrap();
        let put = store.put_if_absent(record(), Vec::new(), Timestamp::MAX);
        assert!(put.await.unwrap());
        assert!(store.get(record()).await.unwrap().is_some());
        server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
        store.release(key(2), given_back, ReleaseReason::NotServed);
        let (new, again, other, ()) = tokio::join!(
            consume(&store, key(3)),
            store.consume(of(1, spent)),
            consume(&store, key(1)),
            store.flush(),
        );
        assert_eq!(new.unwrap_err().kind(), StoreErrorKind::Full);
        assert_eq!(again.unwrap(), GRANTED, "it is the same use");
        assert_eq!(other.unwrap(), Consumption::Spent);
        let (first, second) = tokio::join!(store.get(record()), store.get(record()));
        assert!(first.unwrap().is_some() && second.unwrap().is_some());
        server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        assert_eq!(consume(&store, key(2)).await.unwrap(), GRANTED);
        assert_eq!(consume(&store, key(3)).await.unwrap(), GRANTED);
    }
}

#[tokio::test]
async fn one_call_forgets_few_uses_however_many_came_together() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let at = |seconds: u64| Timestamp::from_unix_seconds(1_800_000_000 + seconds);
        let clock = TestClock::at(at(0));
        let store = with_clock(&server.url("shop"), &clock).await;
        let often = UseLimits::new(NonZeroU32::new(30).unwrap(), 0);
        for _ in 0..30 {
            let uses = (0..120).map(|number| take(&store, key(number), often, at(100)));
            assert!(join_all(uses).await.iter().all(Result::is_ok));
        }
        let length = |of: &str| {
            let words = ["HLEN", &format!("{{shop/1024}}:{of}")];
            server.ask(&words).parse::<u64>().unwrap()
        };
        assert_eq!(length("u"), 120 * 29);
        clock.set(at(100 + 257));
        let (mut held, mut new) = (length("u"), 0);
        while held > 0 {
            assert!(new < 20_000, "{held} are still held");
            let answer = take(&store, key(1_000 + new), ONCE, at(9_000)).await;
            assert_eq!(answer.unwrap(), GRANTED);
            let left = length("u");
            assert!(held - left < 100, "{} at once", held - left);
            (held, new) = (left, new + 1);
        }
        assert_eq!(length("p"), new);
    }
}
