//! The records of a store, in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::capacity::{Capacity, OutOfCapacity};
use crate::{
    clock::Timestamp,
    replay::{RecordKey, StoreError, StoreErrorKind},
};

/// Records in memory, in the order of their keys.
#[derive(Debug, Default)]
pub(in crate::replay) struct RecordTable {
    records: BTreeMap<RecordKey, Record>,
    expiries: BTreeSet<(Timestamp, RecordKey)>,
}

/// A value and the last second at which it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::replay) struct Record {
    pub(in crate::replay) value: Vec<u8>,
    pub(in crate::replay) expires_at: Timestamp,
}

/// Learns of each change: the old record and the new one.
pub(in crate::replay) trait RecordChanges {
    fn record(&mut self, key: &RecordKey, old: Option<&Record>, new: Option<&Record>);
}

impl RecordChanges for () {
    fn record(&mut self, _: &RecordKey, _: Option<&Record>, _: Option<&Record>) {}
}

impl RecordTable {
    pub(in crate::replay) fn put_if_absent(
        &mut self,
        key: &RecordKey,
        record: Record,
        now: Timestamp,
        capacity: &Capacity,
        changes: &mut impl RecordChanges,
    ) -> Result<bool, OutOfCapacity> {
        self.prune(now, capacity, changes);
        match self.records.get(key) {
            Some(known) if !known.is_gone(now) => return Ok(false),
            Some(_) => self.remove(key, capacity, changes),
            None => {}
        }
        if record.is_gone(now) {
            return Ok(true);
        }
        capacity.take(weight(key, &record))?;
        changes.record(key, None, Some(&record));
        self.note(key.clone(), record);
        Ok(true)
    }

    pub(in crate::replay) fn get(&self, key: &RecordKey, now: Timestamp) -> Option<Vec<u8>> {
        self.records
            .get(key)
            .filter(|record| !record.is_gone(now))
            .map(|record| record.value.clone())
    }

    pub(in crate::replay) fn delete(
        &mut self,
        key: &RecordKey,
        now: Timestamp,
        capacity: &Capacity,
        changes: &mut impl RecordChanges,
    ) {
        self.prune(now, capacity, changes);
        self.remove(key, capacity, changes);
    }

    pub(in crate::replay) fn scan(
        &self,
        prefix: &RecordKey,
        now: Timestamp,
    ) -> Vec<(RecordKey, Vec<u8>)> {
        self.records
            .range(prefix..)
            .take_while(|(key, _)| key.as_bytes().starts_with(prefix.as_bytes()))
            .filter(|(_, record)| !record.is_gone(now))
            .map(|(key, record)| (key.clone(), record.value.clone()))
            .collect()
    }

    fn prune(&mut self, now: Timestamp, capacity: &Capacity, changes: &mut impl RecordChanges) {
        for _ in 0..PRUNED_AT_ONCE {
            let Some((_, key)) = self.expiries.first().filter(|(at, _)| *at < now) else {
                return;
            };
            let key = key.clone();
            self.remove(&key, capacity, changes);
        }
    }

    fn remove(&mut self, key: &RecordKey, capacity: &Capacity, changes: &mut impl RecordChanges) {
        if let Some(record) = self.records.remove(key) {
            self.expiries.remove(&(record.expires_at, key.clone()));
            capacity.give_back(weight(key, &record));
            changes.record(key, Some(&record), None);
        }
    }

    fn note(&mut self, key: RecordKey, record: Record) {
        self.expiries.insert((record.expires_at, key.clone()));
        self.records.insert(key, record);
    }
}

#[cfg(feature = "replay-durable")]
impl RecordTable {
    pub(in crate::replay) fn load(&mut self, key: RecordKey, record: Record, capacity: &Capacity) {
        capacity.take_always(weight(&key, &record));
        self.note(key, record);
    }
}

impl Record {
    fn is_gone(&self, now: Timestamp) -> bool {
        self.expires_at < now
    }
}

/// How many bytes a record takes: its key twice, its value, and the tables.
fn weight(key: &RecordKey, record: &Record) -> usize {
    2 * key.as_bytes().len() + record.value.len() + OVERHEAD
}

/// About how many bytes the two trees take for a record.
const OVERHEAD: usize = 128;
const PRUNED_AT_ONCE: usize = 4;

/// Checks that a value is no longer than the contract allows.
pub(in crate::replay) fn check_value(value: &[u8], store: &'static str) -> Result<(), StoreError> {
    if value.len() <= MAX_VALUE {
        return Ok(());
    }
    Err(StoreError::new(
        StoreErrorKind::Full,
        store,
        "expected a value of at most 64 KiB",
    ))
}

/// The longest value, in bytes.
const MAX_VALUE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct RecordCount(i32);

    impl RecordChanges for RecordCount {
        fn record(&mut self, _: &RecordKey, old: Option<&Record>, new: Option<&Record>) {
            self.0 += i32::from(new.is_some()) - i32::from(old.is_some());
        }
    }

    struct Scene {
        records: RecordTable,
        capacity: Capacity,
        recorded: RecordCount,
    }

    const SHORT: usize = 2 + 3 + 128;

    impl Scene {
        /// With room for so many records of a key of one byte and a value of three.
        fn new(records: usize) -> Self {
            Self {
                records: RecordTable::default(),
                capacity: Capacity::new(records * SHORT),
                recorded: RecordCount::default(),
            }
        }

        fn put(&mut self, name: u8, until: u64, now: u64) -> Result<bool, OutOfCapacity> {
            let record = Record {
                value: vec![name; 3],
                expires_at: at(until),
            };
            self.records.put_if_absent(
                &key(name),
                record,
                at(now),
                &self.capacity,
                &mut self.recorded,
            )
        }

        fn delete(&mut self, name: u8, now: u64) {
            self.records
                .delete(&key(name), at(now), &self.capacity, &mut self.recorded);
        }

        fn held(&self) -> (usize, usize, i32) {
            (
                self.records.records.len(),
                self.records.expiries.len(),
                self.recorded.0,
            )
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn key(name: u8) -> RecordKey {
        RecordKey::new(&[name]).unwrap()
    }

    #[test]
    fn a_record_takes_its_key_twice_its_value_and_the_tables() {
        let mut scene = Scene::new(1);
        let record = |value: usize| Record {
            value: vec![0; value],
            expires_at: at(9),
        };
        let name = RecordKey::new(&[1, 2]).unwrap();
        assert!(
            scene
                .records
                .put_if_absent(
                    &name,
                    record(2),
                    at(0),
                    &scene.capacity,
                    &mut scene.recorded
                )
                .is_err()
        );
        assert_eq!(
            scene
                .records
                .put_if_absent(
                    &name,
                    record(1),
                    at(0),
                    &scene.capacity,
                    &mut scene.recorded
                )
                .ok(),
            Some(true)
        );
        assert!(scene.put(1, 9, 0).is_err());
        assert_eq!(scene.held(), (1, 1, 1));
    }

    #[test]
    fn what_has_expired_or_is_deleted_makes_room() {
        let mut scene = Scene::new(3);
        for (name, until) in [(1, 10), (2, 20), (3, 30)] {
            assert_eq!(scene.put(name, until, 0).ok(), Some(true));
        }
        assert!(
            scene.put(4, 99, 10).is_err(),
            "a record is there until its last second"
        );
        assert_eq!(scene.records.get(&key(1), at(10)), Some(vec![1; 3]));
        assert_eq!(scene.put(4, 99, 21).ok(), Some(true));
        assert_eq!(scene.held(), (2, 2, 2));
        scene.delete(3, 21);
        assert_eq!(scene.held(), (1, 1, 1));
        for name in [5, 6] {
            assert_eq!(scene.put(name, 40, 21).ok(), Some(true));
        }
        scene.delete(9, 41);
        assert_eq!(
            scene.held(),
            (1, 1, 1),
            "a delete forgets what has expired too"
        );
        assert_eq!(scene.put(5, 99, 41).ok(), Some(true));
    }

    #[test]
    fn a_record_that_has_expired_is_replaced_before_it_is_pruned() {
        let mut scene = Scene::new(9);
        // More than one call forgets.
        for name in 1..=8 {
            assert_eq!(scene.put(name, 10, 0).ok(), Some(true));
        }
        assert_eq!(
            scene.put(8, 10, 10).ok(),
            Some(false),
            "until its last second"
        );
        assert_eq!(scene.put(8, 99, 11).ok(), Some(true));
        assert_eq!(scene.records.get(&key(8), at(99)), Some(vec![8; 3]));
        assert_eq!(scene.held(), (4, 4, 4));
        assert_eq!(scene.put(8, 99, 11).ok(), Some(false));
    }

    #[test]
    fn a_record_that_is_expired_already_is_accepted_and_not_kept() {
        let mut scene = Scene::new(9);
        assert_eq!(scene.put(1, 10, 11).ok(), Some(true));
        assert_eq!(scene.held(), (0, 0, 0));
    }

    #[cfg(feature = "replay-durable")]
    #[test]
    fn what_is_read_from_a_disk_takes_room() {
        let mut scene = Scene::new(1);
        scene.records.load(
            key(1),
            Record {
                value: vec![1; 3],
                expires_at: at(9),
            },
            &scene.capacity,
        );
        assert!(scene.put(2, 9, 0).is_err());
        assert_eq!(scene.put(2, 99, 10).ok(), Some(true));
    }
}
