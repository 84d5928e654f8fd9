//! What others wrote into the rows that a process wrote, before that process checks whether the
//! server still has its writes.

use std::{num::NonZeroU32, time::Instant};

use tower_x402::{
    clock::{TestClock, Timestamp},
    replay::{
        Consumption, PostgresOptions, PostgresStore, RecordKey, Records as _, ReleaseReason,
        ReplayStore as _, StoreErrorKind, UseId, UseLimits, UseRequest,
    },
};

use crate::{
    GRANTED, LATER, NOW, PATIENCE, PAUSE, connect, consume, key, lost, one_use::take,
    server::Server, until,
};

const MANY: UseLimits = UseLimits::new(NonZeroU32::new(100).unwrap(), 100);

fn record() -> RecordKey {
    RecordKey::new(b"record").unwrap()
}

async fn put(store: &PostgresStore) {
    let is_new = store.put_if_absent(record(), vec![1], LATER).await;
    assert!(is_new.unwrap());
}

async fn delete(store: &PostgresStore) {
    store.delete(record()).await.unwrap();
}

async fn take_some(store: &PostgresStore, number: u64, times: usize) {
    for _ in 0..times {
        let answer = take(store, key(number), MANY, LATER).await.unwrap();
        assert!(matches!(answer, Consumption::Granted { .. }), "{answer:?}");
    }
}

/// What a process writes and the server loses.
#[derive(Clone, Copy, Debug)]
enum Write {
    OnlyUse,
    Use,
    Record,
    Deletion,
}

/// Each with how often it is made again at most. A record has the marks of five writes.
const WRITES: [(Write, usize); 4] = [
    (Write::OnlyUse, 1),
    (Write::Use, 9),
    (Write::Record, 3),
    (Write::Deletion, 3),
];

impl Write {
    async fn by(self, store: &PostgresStore) {
        match self {
            Self::OnlyUse => assert_eq!(consume(store, key(1)).await.unwrap(), GRANTED),
            Self::Use => take_some(store, 2, 1).await,
            Self::Record => put(store).await,
            Self::Deletion => delete(store).await,
        }
    }

    /// Writes on.
    async fn again_by(self, store: &PostgresStore, times: usize) {
        self.by(store).await;
        for _ in 1..times {
            match self {
                Self::OnlyUse => {}
                Self::Use => take_some(store, 2, 1).await,
                Self::Record => {
                    delete(store).await;
                    put(store).await;
                }
                Self::Deletion => {
                    put(store).await;
                    delete(store).await;
                }
            }
        }
    }
}

/// The server goes back to a past without a write. Another process starts, makes the same write and
/// some more, and only then the first one looks.
#[tokio::test]
async fn a_lost_write_is_detected_although_another_process_wrote_the_same_row_since() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut cases = Vec::new();
    for (write, most) in WRITES {
        for times in [1, 2, 3, 9].into_iter().filter(|times| *times <= most) {
            let schema = format!("s{}", cases.len());
            let url = server.url(&schema);
            let (store, before) = (connect(&url).await, connect(&url).await);
            take_some(&before, 2, 3).await;
            if matches!(write, Write::Deletion) {
                put(&before).await;
            }
            server.sql(&format!(
                "CREATE TABLE {schema}.past AS TABLE {schema}.entries"
            ));
            write.by(&store).await;
            server.sql(&format!(
                "TRUNCATE {schema}.entries; INSERT INTO {schema}.entries TABLE {schema}.past"
            ));
            cases.push((write, times, store, url));
        }
    }
    server.restart();
    for (write, times, store, url) in cases {
        write.again_by(&connect(&url).await, times).await;
        let error = lost(&store, key(3)).await.to_string();
        assert!(error.contains("acknowledged"), "{write:?} {times}: {error}");
    }
}

/// Gives a use back, and waits until that is written.
async fn release(store: &PostgresStore, number: u64, use_id: UseId) {
    store.release(key(number), use_id, ReleaseReason::NotServed);
    let request = UseRequest::new(key(number), use_id, MANY, LATER);
    assert_eq!(store.consume(request).await.unwrap(), Consumption::Spent);
}

#[tokio::test]
async fn later_writes_and_uses_that_are_forgotten_are_no_loss() {
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.url("s");
    let ahead = Timestamp::from_unix_seconds(NOW.as_unix_seconds() + 601);
    let ahead = PostgresOptions::new().clock(TestClock::at(ahead));
    let early = PostgresStore::connect_with(&url, ahead).await.unwrap();
    let other = connect(&url).await;
    let mut stores = Vec::new();
    for number in 10..18 {
        let store = connect(&url).await;
        let use_id = UseId::random().unwrap();
        let request = UseRequest::new(key(number), use_id, MANY, LATER);
        let answer = store.consume(request).await.unwrap();
        assert_eq!(answer, Consumption::Granted { remaining: 99 });
        match number {
            // Nobody else used it.
            10 => {}
            // It is one of the last five, or has a row of its own, or was given back.
            11 => take_some(&other, number, 4).await,
            12 => take_some(&other, number, 5).await,
            13 => release(&other, number, use_id).await,
            14 => {
                take_some(&other, number, 5).await;
                release(&other, number, use_id).await;
            }
            // By the clock of another process it is too old for a row of its own.
            15 => take_some(&early, number, 5).await,
            16 => {
                put(&store).await;
                for _ in 0..3 {
                    delete(&other).await;
                    put(&other).await;
                }
            }
            _ => {
                delete(&store).await;
                put(&other).await;
            }
        }
        stores.push((number, store));
    }
    server.restart();
    lost_nothing(&stores).await;
    // Which forgets all uses that have rows of their own.
    take_some(&early, 1, 64).await;
    let expired = "SELECT count(*) FROM s.entries WHERE expires_at <= 1800000600";
    until("what expired must be removed", || {
        server.sql(expired) == "0"
    });
    server.restart();
    lost_nothing(&stores).await;
}

async fn lost_nothing(stores: &[(u64, PostgresStore)]) {
    let given_up = Instant::now() + PATIENCE;
    for (number, store) in stores {
        while let Err(error) = store.ready().await {
            let is_lost = error.kind() == StoreErrorKind::Corrupt;
            assert!(!is_lost && Instant::now() < given_up, "{number}: {error}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}
