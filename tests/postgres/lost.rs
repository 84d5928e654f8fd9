//! Servers that come back with less than they acknowledged.

use tower_x402::replay::{
    Consumption, PostgresStore, RecordKey, Records as _, ReplayStore as _, StoreErrorKind,
};

use crate::{GRANTED, LATER, answered, connect, consume, key, lost, server::Server, until};

/// Waits until a standby has all that the primary has.
fn catch_up(server: &Server) {
    let behind = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()";
    until("the standby must catch up", || server.sql(behind) == "1");
}

#[tokio::test]
async fn a_replica_that_has_everything_takes_over_and_nobody_notices() {
    let Some(server) = Server::start() else {
        return;
    };
    let standby = server.standby_elsewhere();
    standby.resume();
    let ports = [standby.port, server.port].map(|port| format!("127.0.0.1:{port}"));
    let url = format!("postgres://x402@{}/postgres?schema=s", ports.join(","));
    let store = connect(&url).await;
    for number in 0..40 {
        assert_eq!(consume(&store, key(number)).await.unwrap(), GRANTED);
    }
    catch_up(&server);
    let error = PostgresStore::connect(&standby.url("s")).await.unwrap_err();
    assert!(error.to_string().contains("read-only"), "{error}");
    server.kill();
    standby.promote();
    for number in 0..40 {
        assert_eq!(answered(&store, key(number)).await, Consumption::Spent);
    }
    assert_eq!(answered(&store, key(40)).await, GRANTED);
    assert_eq!(connect(&url).await.id(), store.id());
}

#[tokio::test]
async fn a_replica_that_lacks_acknowledged_writes_is_detected_and_is_another_store() {
    for write in [
        "payment",
        "payment before a spent one",
        "record",
        "deletion",
    ] {
        let Some(server) = Server::start() else {
            return;
        };
        let store = connect(&server.url("s")).await;
        let other = connect(&server.url("s")).await;
        let record = RecordKey::new(b"revoked").unwrap();
        if write == "deletion" {
            assert!(
                store
                    .put_if_absent(record.clone(), vec![1], LATER)
                    .await
                    .unwrap()
            );
        }
        assert_eq!(consume(&other, key(1)).await.unwrap(), GRANTED);
        let mut standby = server.standby_elsewhere();
        match write {
            "payment" => assert_eq!(consume(&store, key(2)).await.unwrap(), GRANTED),
            "payment before a spent one" => {
                assert_eq!(consume(&store, key(2)).await.unwrap(), GRANTED);
                // The same connection answers, and writes nothing.
                let spent = consume(&store, key(1)).await.unwrap();
                assert_eq!(spent, Consumption::Spent);
            }
            "record" => assert!(store.put_if_absent(record, vec![1], LATER).await.unwrap()),
            _ => store.delete(record).await.unwrap(),
        }
        server.kill();
        standby.move_to(server.port);
        standby.resume();
        standby.promote();

        let error = lost(&store, key(2)).await;
        assert!(error.to_string().contains("acknowledged"), "{error}");
        assert_eq!(
            store.ready().await.unwrap_err().kind(),
            StoreErrorKind::Corrupt
        );
        // A process that lost nothing.
        let error = lost(&other, key(3)).await;
        assert!(error.to_string().contains("another store"), "{error}");

        let again = connect(&server.url("s")).await;
        assert_ne!(again.id(), store.id(), "tokens of before must be worthless");
        assert_eq!(consume(&again, key(1)).await.unwrap(), Consumption::Spent);
        assert_eq!(consume(&again, key(4)).await.unwrap(), GRANTED);
    }
}

/// The double use cannot be undone, but the loss does not stay unknown.
#[tokio::test]
async fn a_lost_payment_that_another_process_granted_again_is_detected() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = connect(&server.url("s")).await;
    let other = connect(&server.url("s")).await;
    assert_eq!(consume(&other, key(1)).await.unwrap(), GRANTED);
    let mut standby = server.standby_elsewhere();
    assert_eq!(consume(&store, key(2)).await.unwrap(), GRANTED);
    server.kill();
    standby.move_to(server.port);
    standby.resume();
    standby.promote();
    assert_eq!(answered(&other, key(2)).await, GRANTED, "nobody knows yet");
    let error = lost(&store, key(3)).await;
    assert!(error.to_string().contains("acknowledged"), "{error}");
    let error = lost(&other, key(3)).await;
    assert!(error.to_string().contains("another store"), "{error}");
}

#[tokio::test]
async fn a_schema_that_was_dropped_and_made_again_is_another_store() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = connect(&server.url("s")).await;
    assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
    server.sql("DROP SCHEMA s CASCADE");
    let again = connect(&server.url("s")).await;
    assert_ne!(again.id(), store.id());
    assert_eq!(
        consume(&store, key(1)).await.unwrap_err().kind(),
        StoreErrorKind::Corrupt
    );
}
