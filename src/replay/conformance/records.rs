use std::sync::Arc;

use tokio::task::JoinSet;

use super::subject::{Setup, a_use, after};
use crate::replay::{RecordKey, Records};

/// Tests a [`Records`] against its contract. `durable` says whether the data outlives the value. If
/// so, the suite drops the value and opens the data again.
///
/// # Panics
///
/// If it breaks the contract.
pub async fn records<R: Records>(open: impl AsyncFn(Setup) -> R, durable: bool) {
    let setup = Setup::new();
    let records = Arc::new(open(setup.clone()).await);
    for _ in 0..20 {
        one_of_many_writes(&records).await;
    }
    what_is_deleted_is_absent(&*records).await;
    a_scan_finds_what_starts_with_the_prefix_in_order(&*records).await;
    values_are_bounded(&*records).await;
    what_expired_is_absent(&*records, &setup).await;
    if durable {
        put(&*records, b"kept", b"value", 3_600).await;
        put(&*records, b"deleted", b"value", 3_600).await;
        succeeds(records.delete(key(b"deleted")).await);
        drop(records);
        let records = open(setup).await;
        assert_eq!(
            succeeds(records.get(key(b"kept")).await),
            Some(b"value".to_vec()),
            "a record must outlive the value of its store"
        );
        assert_eq!(
            succeeds(records.get(key(b"deleted")).await),
            None,
            "a removal must outlive the value of its store"
        );
    }
}

async fn one_of_many_writes<R: Records>(records: &Arc<R>) {
    let name = a_use();
    let mut racers = JoinSet::new();
    for racer in 0..100_u8 {
        let records = records.clone();
        racers.spawn(async move {
            let key = key(&[b"race/", name.as_bytes().as_slice()].concat());
            (
                racer,
                succeeds(records.put_if_absent(key, vec![racer], after(3_600)).await),
            )
        });
    }
    let winners: Vec<u8> = racers
        .join_all()
        .await
        .into_iter()
        .filter(|(_, won)| *won)
        .map(|(racer, _)| racer)
        .collect();
    assert_eq!(
        winners.len(),
        1,
        "of many who write one key exactly one must"
    );
    let kept = succeeds(
        records
            .get(key(&[b"race/", name.as_bytes().as_slice()].concat()))
            .await,
    );
    assert_eq!(
        kept,
        Some(winners),
        "what is kept must be what the winner wrote"
    );
}

async fn what_is_deleted_is_absent(records: &impl Records) {
    succeeds(records.delete(key(b"gone")).await);
    assert_eq!(succeeds(records.get(key(b"gone")).await), None);
    assert!(put(records, b"gone", b"1", 3_600).await);
    assert!(!put(records, b"gone", b"2", 3_600).await);
    assert_eq!(
        succeeds(records.get(key(b"gone")).await),
        Some(b"1".to_vec())
    );
    succeeds(records.delete(key(b"gone")).await);
    assert_eq!(succeeds(records.get(key(b"gone")).await), None);
    assert!(
        put(records, b"gone", b"2", 3_600).await,
        "a key that was removed is absent"
    );
}

async fn a_scan_finds_what_starts_with_the_prefix_in_order(records: &impl Records) {
    let names: [&[u8]; 6] = [
        b"scan/b",
        b"scan/",
        b"scan/a",
        b"scan/\xff\xff",
        b"scan0",
        b"sca",
    ];
    for name in names {
        assert!(put(records, name, name, 3_600).await);
    }
    let found = succeeds(records.scan(key(b"scan/")).await);
    let found: Vec<_> = found
        .iter()
        .map(|(key, value)| (key.as_bytes(), value.as_slice()))
        .collect();
    let expected: [&[u8]; 4] = [b"scan/", b"scan/a", b"scan/b", b"scan/\xff\xff"];
    assert_eq!(
        found,
        expected.map(|name| (name, name)),
        "a scan must find what starts with its prefix, in order"
    );
    let longest = [0xff; 255];
    assert!(
        put(records, &longest, b"", 3_600).await,
        "a key may have 255 bytes"
    );
    assert_eq!(
        succeeds(records.scan(key(&longest)).await),
        [(key(&longest), Vec::new())]
    );
    assert!(
        succeeds(records.scan(key(b"")).await).len() >= names.len(),
        "every key starts with nothing"
    );
}

async fn values_are_bounded(records: &impl Records) {
    let most = vec![7; 64 * 1024];
    assert!(succeeds(
        records
            .put_if_absent(key(b"most"), most.clone(), after(3_600))
            .await
    ));
    assert_eq!(
        succeeds(records.get(key(b"most")).await),
        Some(most.clone())
    );
    let more = [most, vec![7]].concat();
    assert!(
        records
            .put_if_absent(key(b"more"), more, after(3_600))
            .await
            .is_err(),
        "a longer value must be an error"
    );
    assert_eq!(succeeds(records.get(key(b"more")).await), None);
}

async fn what_expired_is_absent(records: &impl Records, setup: &Setup) {
    assert!(put(records, b"short/1", b"1", 10).await);
    assert!(put(records, b"short/2", b"2", 20).await);
    setup.clock.set(after(10));
    assert_eq!(
        succeeds(records.get(key(b"short/1")).await),
        Some(b"1".to_vec()),
        "a record stays until its end, inclusive"
    );
    setup.clock.set(after(11));
    assert_eq!(
        succeeds(records.get(key(b"short/1")).await),
        None,
        "a record is gone once its end has passed"
    );
    assert_eq!(
        succeeds(records.scan(key(b"short/")).await),
        [(key(b"short/2"), b"2".to_vec())]
    );
    assert!(
        put(records, b"short/1", b"3", 30).await,
        "a key that expired is absent"
    );
    assert_eq!(
        succeeds(records.get(key(b"short/1")).await),
        Some(b"3".to_vec())
    );
}

async fn put(records: &impl Records, name: &[u8], value: &[u8], expires_after: u64) -> bool {
    succeeds(
        records
            .put_if_absent(key(name), value.to_vec(), after(expires_after))
            .await,
    )
}

fn key(name: &[u8]) -> RecordKey {
    RecordKey::new(name).expect("at most 255 bytes")
}

fn succeeds<T>(answer: Result<T, crate::replay::StoreError>) -> T {
    answer.unwrap_or_else(|error| panic!("the records failed: {error}"))
}
