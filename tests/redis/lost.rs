//! Servers that forgot what they acknowledged.

use tower_x402::{
    clock::Timestamp,
    replay::{
        Consumption, RecordKey, Records as _, RedisStore, ReleaseReason, ReplayStore as _,
        StoreError, StoreErrorKind, UseId, UseRequest,
    },
};

use crate::{
    GRANTED, ONCE, consume, key,
    patience::{answered, until},
    patient,
    server::{DURABLE, Server, programs},
};

/// As after a failover to a replica that had not got the last writes.
#[tokio::test]
async fn a_server_that_forgot_the_last_writes_is_recognised_and_no_process_uses_it() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let (one, other) = (
            patient(&server.url("shop")).await,
            patient(&server.url("shop")).await,
        );
        assert_eq!(consume(&one, key(1)).await.unwrap(), GRANTED);
        let promoted = replaced(server, program, async || {
            assert_eq!(consume(&one, key(2)).await.unwrap(), GRANTED);
        })
        .await;
        let answer = until_not_refused(&one, 2).await;
        assert_eq!(
            answer.unwrap_err().kind(),
            StoreErrorKind::Corrupt,
            "key 2 was spent"
        );
        assert_eq!(
            consume(&one, key(3)).await.unwrap_err().kind(),
            StoreErrorKind::Corrupt
        );
        assert_eq!(
            until_not_refused(&other, 2).await.unwrap_err().kind(),
            StoreErrorKind::Corrupt
        );
        let again = RedisStore::connect(&promoted.url("shop"))
            .await
            .unwrap_err();
        assert_eq!(again.kind(), StoreErrorKind::Corrupt, "{again}");
        assert!(
            again.to_string().contains("choose another `name`"),
            "{again}"
        );
        assert_eq!(
            consume(&patient(&promoted.url("shop2")).await, key(2))
                .await
                .unwrap(),
            GRANTED
        );
    }
}

/// Nobody asks for the payment that was lost: another process may be about to be asked for it.
#[tokio::test]
async fn a_loss_is_found_as_soon_as_a_process_is_connected_again() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let (one, other) = (
            patient(&server.url("shop")).await,
            patient(&server.url("shop")).await,
        );
        let _promoted = replaced(server, program, async || {
            assert_eq!(consume(&one, key(2)).await.unwrap(), GRANTED);
        })
        .await;
        for store in [&one, &other] {
            // It asks for another bucket, which has all that it had.
            let ask = async || is_corrupt(store.get(name()).await).then_some(());
            answered("the loss is found", ask).await;
        }
    }
}

fn name() -> RecordKey {
    RecordKey::new(b"a record").unwrap()
}

fn is_corrupt<T>(answer: Result<T, StoreError>) -> bool {
    answer.is_err_and(|error| error.kind() == StoreErrorKind::Corrupt)
}

/// Lets a replica that has not got the last writes take the place of a server, with its port.
async fn replaced(server: Server, program: &str, last: impl AsyncFnOnce()) -> Server {
    let of = format!("127.0.0.1 {}", server.port);
    let mut promoted = Server::start(program, &["--replicaof", &of]);
    until("the replica has all", || {
        server.ask(&["WAIT", "1", "1000"]) == "1"
    });
    promoted.ask(&["REPLICAOF", "NO", "ONE"]);
    // Which the replica never gets.
    last().await;
    promoted.ask(&["CONFIG", "SET", "appendonly", "no"]);
    promoted.ask(&["SAVE"]);
    promoted.kill();
    promoted.port = server.port;
    promoted.forget_settings();
    assert!(promoted.folder.path().join("dump.rdb").exists());
    drop(server);
    promoted.start_again();
    promoted
}

#[tokio::test]
async fn a_process_that_forgot_writes_is_recognised_although_others_wrote_since() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let one = patient(&server.url("shop")).await;
        assert_eq!(consume(&one, key(1)).await.unwrap(), GRANTED);
        let bucket = server.ask(&["--scan", "--pattern", "{shop/*}:p"]);
        // The past in which another process wrote in place of this one.
        server.ask(&["DEL", &bucket]);
        server.ask(&["HSET", &bucket.replace(":p", ":m"), "mark1", "12345678"]);
        assert_eq!(
            consume(&one, key(1)).await.unwrap_err().kind(),
            StoreErrorKind::Corrupt
        );
    }
}

/// The payment would stay spent.
#[tokio::test]
async fn a_server_that_forgot_that_a_use_was_given_back_is_recognised() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let store = patient(&server.url("shop")).await;
        let use_id = UseId::random().unwrap();
        let use_it = UseRequest::new(key(1), use_id, ONCE, Timestamp::MAX);
        assert_eq!(store.consume(use_it).await.unwrap(), GRANTED);
        store.release(key(1), use_id, ReleaseReason::NotServed);
        store.flush().await;
        server.ask(&["HSET", "{shop/1024}:m", "written", "1"]);
        assert!(is_corrupt(consume(&store, key(2)).await));
    }
}

/// None of two calls that overlap was sent with what the other was answered.
#[tokio::test]
async fn a_server_that_forgot_one_of_two_writes_that_overlapped_is_recognised() {
    for program in programs() {
        let forgot_last = [["HSET", "written", "2"], ["HDEL", "mark3", ""]];
        let forgot_first = [["HSET", "mark2", "12345678"], ["HDEL", "mark4", ""]];
        for edits in [forgot_last, forgot_first] {
            let server = Server::start(program, &[]);
            let store = patient(&server.url("shop")).await;
            let put = || store.put_if_absent(name(), Vec::new(), Timestamp::MAX);
            // A script that the server does not know is sent a second time, so out of turn.
            store.delete(name()).await.unwrap();
            assert!(put().await.unwrap());
            let (deleted, again) = tokio::join!(biased; store.delete(name()), put());
            assert!(deleted.is_ok() && again.unwrap());
            let bucket = server.ask(&["--scan", "--pattern", "{shop/*}:d"]);
            for [command, field, value] in edits {
                let words = [command, &bucket.replace(":d", ":m"), field, value];
                server.ask(&words);
            }
            assert!(is_corrupt(store.get(name()).await));
        }
    }
}

#[tokio::test]
async fn calls_that_overlapped_are_sent_on_with_what_they_were_answered() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let store = patient(&server.url("shop")).await;
        let put = store.put_if_absent(name(), Vec::new(), Timestamp::MAX);
        assert!(put.await.unwrap());
        store.delete(name()).await.unwrap();
        for _ in 0..3 {
            let changes = (0..50).map(async |_| {
                let put = store.put_if_absent(name(), Vec::new(), Timestamp::MAX);
                let (put, deleted) = tokio::join!(biased; put, store.delete(name()));
                put.unwrap() && deleted.is_ok()
            });
            let changed = futures_util::future::join_all(changes).await;
            assert_eq!(changed, [true; 50], "each made two changes");
        }
        assert_eq!(store.get(name()).await.unwrap(), None);
    }
}

/// Processes that ask later must not use what is left.
#[tokio::test]
async fn a_store_that_lost_something_is_marked_once_its_server_takes_writes() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let store = patient(&server.url("shop")).await;
        assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
        let bucket = server.ask(&["--scan", "--pattern", "{shop/*}:p"]);
        server.ask(&["HSET", &bucket.replace(":p", ":m"), "written", "0"]);
        server.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        assert!(is_corrupt(consume(&store, key(1)).await));
        answered("the marks are refused", async || {
            (refused(&server, "NOREPLICAS") >= 1_024).then_some(())
        })
        .await;
        let is_marked = || server.ask(&["HGET", "{shop/7}:m", "lost"]) == "1";
        assert!(!is_marked());
        server.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
        answered("the marks are set", async || is_marked().then_some(())).await;
    }
}

#[tokio::test]
async fn a_check_that_a_server_does_not_answer_is_repeated() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let store = patient(&server.url("shop")).await;
        let promoted = replaced(server, program, async || {
            assert_eq!(consume(&store, key(2)).await.unwrap(), GRANTED);
        })
        .await;
        promoted.ask(&["ACL", "SETUSER", "default", "-eval", "-evalsha"]);
        answered(
            "the store is connected, and its check refused",
            async || {
                if refused(&promoted, "NOPERM") == 0 {
                    let _ = store.ready().await;
                }
                (refused(&promoted, "NOPERM") > 1).then_some(())
            },
        )
        .await;
        promoted.ask(&["ACL", "SETUSER", "default", "+eval", "+evalsha"]);
        let ask = async || is_corrupt(store.get(name()).await).then_some(());
        answered("the loss is found", ask).await;
    }
}

/// Returns how often a server refused something with this code.
fn refused(server: &Server, code: &str) -> u32 {
    let errors = server.ask(&["INFO", "errorstats"]);
    let start = format!("errorstat_{code}:count=");
    let mut counts = errors.lines().filter_map(|line| line.strip_prefix(&start));
    counts
        .next()
        .map_or(0, |count| count.trim().parse().unwrap())
}

#[tokio::test]
async fn an_empty_server_does_not_pass_for_the_one_that_was_there() {
    for program in programs() {
        let server = Server::start(program, &DURABLE);
        let store = patient(&server.url("shop")).await;
        assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
        server.ask(&["FLUSHALL"]);
        assert_eq!(
            consume(&store, key(1)).await.unwrap_err().kind(),
            StoreErrorKind::Corrupt
        );
        let text = consume(&store, key(1)).await.unwrap_err().to_string();
        assert!(
            text.contains("one request or several is refused then, and durations stay valid"),
            "{text}"
        );
        let new = patient(&server.url("shop")).await;
        assert_ne!(new.id(), store.id());
        assert_eq!(
            consume(&store, key(2)).await.unwrap_err().kind(),
            StoreErrorKind::Corrupt
        );
        assert_eq!(consume(&new, key(1)).await.unwrap(), GRANTED);
    }
}

#[tokio::test]
async fn a_store_that_lacks_a_bucket_is_not_opened() {
    for program in programs() {
        let server = Server::start(program, &DURABLE);
        drop(patient(&server.url("shop")).await);
        for bucket in ["{shop/7}:m", "{shop/1024}:m"] {
            assert_eq!(server.ask(&["RENAME", bucket, "away"]), "OK");
            let error = RedisStore::connect(&server.url("shop")).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Corrupt);
            server.ask(&["RENAME", "away", bucket]);
        }
    }
}

/// A store that was being made may be what a server remembers of one that was used.
#[tokio::test]
async fn a_store_whose_making_was_cut_short_gets_another_id() {
    for program in programs() {
        let server = Server::start(program, &DURABLE);
        let before = patient(&server.url("shop")).await.id();
        server.ask(&["HDEL", "{shop}:store", "ready"]);
        let after = patient(&server.url("shop")).await;
        assert_ne!(after.id(), before);
        assert_eq!(consume(&after, key(1)).await.unwrap(), GRANTED);
        server.ask(&["HDEL", "{shop}:store", "ready"]);
        let error = RedisStore::connect(&server.url("shop")).await.unwrap_err();
        assert_eq!(
            error.kind(),
            StoreErrorKind::Corrupt,
            "something was written: {error}"
        );
    }
}

/// Asks until the server is reached again.
async fn until_not_refused(store: &RedisStore, number: u64) -> Result<Consumption, StoreError> {
    let ask = async || match consume(store, key(number)).await {
        Err(error) if error.kind() != StoreErrorKind::Corrupt => None,
        answer => Some(answer),
    };
    answered("the server is reached", ask).await
}
