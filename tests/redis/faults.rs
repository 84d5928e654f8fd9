//! Servers that are down, full, read-only, slow, or that may not hold a store.

use std::time::Duration;

use tower_x402::replay::{
    Consumption, Durability, RedisOptions, RedisStore, ReleaseReason, ReplayStore as _,
    StoreErrorKind, UseId, UseRequest,
};

use crate::{
    GRANTED, ONCE, consume,
    journal::Journal,
    key,
    one_use::take,
    patience::answered,
    patient,
    server::{DURABLE, Server, programs},
    with_clock,
};
use tower_x402::clock::{TestClock, Timestamp};

#[tokio::test]
async fn a_server_that_may_evict_is_refused() {
    for program in programs() {
        let server = Server::start(program, &["--maxmemory-policy", "allkeys-lru"]);
        let error = RedisStore::connect(&server.url("shop")).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Setup);
        assert!(
            error
                .to_string()
                .contains("set `maxmemory-policy noeviction`"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn only_a_server_that_syncs_before_it_answers_is_durable() {
    for program in programs() {
        for (settings, fix) in [
            (
                ["--appendonly", "no", "--appendfsync", "always"],
                "set `appendonly yes` at the server",
            ),
            (
                ["--appendonly", "yes", "--appendfsync", "everysec"],
                "set `appendfsync always` at the server",
            ),
        ] {
            let server = Server::start(program, &settings);
            let journal = Journal::begin();
            assert_eq!(
                patient(&server.url("shop")).await.durability(),
                Durability::Volatile
            );
            let lines = journal.lines();
            assert!(
                lines.contains("is not durable") && lines.contains(fix),
                "{lines}"
            );
        }
        let server = Server::start(program, &DURABLE);
        assert_eq!(
            patient(&server.url("shop")).await.durability(),
            Durability::Durable
        );
    }
}

#[tokio::test]
async fn a_server_that_is_killed_loses_nothing_and_serves_again() {
    for program in programs() {
        let mut server = Server::start(program, &DURABLE);
        let store = patient(&server.url("shop")).await;
        for number in 0..20 {
            assert_eq!(consume(&store, key(number)).await.unwrap(), GRANTED);
        }
        let (given_back, use_id) = (key(30), UseId::random().unwrap());
        let request = UseRequest::new(given_back, use_id, ONCE, Timestamp::MAX);
        assert_eq!(store.consume(request).await.unwrap(), GRANTED);
        server.kill();
        store.release(given_back, use_id, ReleaseReason::NotServed);
        let kinds = [
            consume(&store, key(40)).await,
            consume(&store, key(41)).await,
        ]
        .map(|it| it.unwrap_err().kind());
        assert!(
            matches!(
                kinds[0],
                StoreErrorKind::Unavailable | StoreErrorKind::Refused
            ),
            "{kinds:?}"
        );
        assert_eq!(
            kinds[1],
            StoreErrorKind::Refused,
            "nothing is sent to a server that is down"
        );
        assert!(store.ready().await.is_err());
        server.start_again();
        store.flush().await;
        assert_eq!(
            until_it_answers(&store, given_back).await,
            GRANTED,
            "a release waits for the server"
        );
        for number in 0..20 {
            assert_eq!(
                consume(&store, key(number)).await.unwrap(),
                Consumption::Spent
            );
        }
        store.ready().await.unwrap();
    }
}

#[tokio::test]
async fn no_use_is_taken_while_very_many_releases_wait() {
    for program in programs() {
        let mut server = Server::start(program, &DURABLE);
        let store = patient(&server.url("shop")).await;
        server.kill();
        for number in 0..32_768 {
            let use_id = UseId::random().unwrap();
            store.release(key(number), use_id, ReleaseReason::NotServed);
        }
        let error = consume(&store, key(40_000)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused);
        let text = error.to_string();
        assert!(text.contains("too many releases wait"), "{text}");
        server.start_again();
        store.flush().await;
        assert_eq!(until_it_answers(&store, key(40_000)).await, GRANTED);
    }
}

#[tokio::test]
async fn no_time_limit_is_too_long() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let options = RedisOptions::new().time_limit(Duration::MAX);
        let store = RedisStore::connect_with(&server.url("shop"), options)
            .await
            .unwrap();
        assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
        store.ready().await.unwrap();
    }
}

#[tokio::test]
async fn a_full_server_takes_nothing_new_and_serves_again_with_more_memory() {
    for program in programs() {
        let server = Server::start(program, &DURABLE);
        let store = patient(&server.url("shop")).await;
        assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
        server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
        assert_eq!(
            consume(&store, key(2)).await.unwrap_err().kind(),
            StoreErrorKind::Full
        );
        assert_eq!(
            store.ready().await.unwrap_err().kind(),
            StoreErrorKind::Full
        );
        assert_eq!(
            consume(&store, key(1)).await.unwrap(),
            Consumption::Spent,
            "nothing is forgotten"
        );
        let use_id = UseId::random().unwrap();
        store.release(key(3), use_id, ReleaseReason::NotServed);
        store.flush().await;
        server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        assert_eq!(consume(&store, key(2)).await.unwrap(), GRANTED);
        let released = UseRequest::new(key(3), use_id, ONCE, Timestamp::MAX);
        assert_eq!(
            store.consume(released).await.unwrap(),
            Consumption::Spent,
            "a full server takes releases"
        );
    }
}

#[tokio::test]
async fn a_full_server_makes_room_by_what_has_expired() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let (start, end) = (
            Timestamp::from_unix_seconds(1_800_000_000),
            Timestamp::from_unix_seconds(1_800_000_100),
        );
        let clock = TestClock::at(start);
        let store = with_clock(&server.url("shop"), &clock).await;
        let consume = async |number| {
            let use_id = UseId::random().unwrap();
            let request = UseRequest::new(key(number), use_id, ONCE, end);
            store.consume(request).await
        };
        let consume_for_ever = |number| take(&store, key(number), ONCE, Timestamp::MAX);
        for number in 0..8_000 {
            assert_eq!(consume(number).await.unwrap(), GRANTED);
        }
        server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
        assert_eq!(
            consume(9_000).await.unwrap_err().kind(),
            StoreErrorKind::Full
        );
        // Those that end within 256 seconds are forgotten together.
        clock.set(end.saturating_add(Duration::from_secs(257)));
        for number in 9_000..9_050 {
            assert_eq!(consume_for_ever(number).await.unwrap(), GRANTED);
        }
        let together = futures_util::future::join_all((9_050..9_100).map(consume_for_ever));
        assert!(
            together
                .await
                .into_iter()
                .all(|answer| answer.unwrap() == GRANTED)
        );
    }
}

#[tokio::test]
async fn a_server_that_becomes_a_replica_takes_nothing_and_serves_again_as_a_primary() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let store = patient(&server.url("shop")).await;
        assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
        // A primary that is not there.
        server.ask(&["CONFIG", "SET", "replica-serve-stale-data", "yes"]);
        server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
        for _ in 0..3 {
            assert_eq!(
                consume(&store, key(2)).await.unwrap_err().kind(),
                StoreErrorKind::Refused
            );
        }
        server.ask(&["REPLICAOF", "NO", "ONE"]);
        assert_eq!(until_it_answers(&store, key(2)).await, GRANTED);
        assert_eq!(consume(&store, key(1)).await.unwrap(), Consumption::Spent);
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_an_error_in_time_and_serves_again() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let options = RedisOptions::new().time_limit(Duration::from_millis(400));
        let store = opened(&server, &options).await;
        server.signal("STOP");
        assert_eq!(
            consume(&store, key(1)).await.unwrap_err().kind(),
            StoreErrorKind::Unavailable
        );
        server.signal("CONT");
        let answer = until_it_answers(&store, key(2)).await;
        assert_eq!(answer, GRANTED);
    }
}

#[tokio::test]
async fn too_few_replicas_are_an_error_and_the_use_can_be_given_back() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let replica = Server::start(
            program,
            &["--replicaof", &format!("127.0.0.1 {}", server.port)],
        );
        server.ask(&["WAIT", "1", "0"]);
        let options = RedisOptions::new().time_limit(Duration::from_secs(4));
        server.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        let store = opened(&server, &options).await;
        assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
        replica.signal("STOP");
        let use_id = UseId::random().unwrap();
        let request = UseRequest::new(key(2), use_id, ONCE, Timestamp::MAX);
        let error = store.consume(request).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(
            error.to_string().contains("0 of 1 replicas acknowledged"),
            "{error}"
        );
        replica.signal("CONT");
        store.release(key(2), use_id, ReleaseReason::NotServed);
        store.flush().await;
        assert_eq!(until_it_answers(&store, key(2)).await, GRANTED);
    }
}

/// Opens a store with a short time limit, which a busy machine may exceed.
async fn opened(server: &Server, options: &RedisOptions) -> RedisStore {
    let url = server.url("shop");
    let open = async || RedisStore::connect_with(&url, options.clone()).await.ok();
    answered("the store is opened", open).await
}

/// Asks until the server is reached again: the store tries it ever less often.
async fn until_it_answers(
    store: &RedisStore,
    key: tower_x402::replay::ConsumptionKey,
) -> Consumption {
    let ask = async || {
        let use_id = UseId::random().unwrap();
        let request = UseRequest::new(key, use_id, ONCE, Timestamp::MAX);
        let answer = store.consume(request).await;
        if answer
            .as_ref()
            .is_err_and(|error| error.kind() != StoreErrorKind::Refused)
        {
            store.release(key, use_id, ReleaseReason::NotServed);
            store.flush().await;
        }
        answer.ok()
    };
    answered("the server answers", ask).await
}
