use std::collections::{BTreeMap, BTreeSet};

use super::{
    RecordKey, StoreError, StoreErrorKind,
    room::{NoRoom, Room},
};
use crate::clock::Timestamp;

/// Small records with an expiry, in memory.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    records: BTreeMap<RecordKey, Record>,
    expiries: BTreeSet<(Timestamp, RecordKey)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) value: Vec<u8>,
    pub(super) expires_at: Timestamp,
}

/// Hears what changed, with what was before.
pub(super) trait RecordChanges {
    fn record(&mut self, key: &RecordKey, old: Option<&Record>, new: Option<&Record>);
}

impl RecordChanges for () {
    fn record(&mut self, _: &RecordKey, _: Option<&Record>, _: Option<&Record>) {}
}

impl Shelf {
    pub(super) fn put_if_absent(
        &mut self,
        key: &RecordKey,
        record: Record,
        now: Timestamp,
        room: &Room,
        changes: &mut impl RecordChanges,
    ) -> Result<bool, NoRoom> {
        self.prune(now, room, changes);
        match self.records.get(key) {
            Some(known) if !known.is_gone(now) => return Ok(false),
            Some(_) => self.remove(key, room, changes),
            None => {}
        }
        if record.is_gone(now) {
            return Ok(true);
        }
        room.take(weight(key, &record))?;
        changes.record(key, None, Some(&record));
        self.note(key.clone(), record);
        Ok(true)
    }

    pub(super) fn get(&self, key: &RecordKey, now: Timestamp) -> Option<Vec<u8>> {
        self.records.get(key).filter(|record| !record.is_gone(now)).map(|record| record.value.clone())
    }

    pub(super) fn delete(&mut self, key: &RecordKey, now: Timestamp, room: &Room, changes: &mut impl RecordChanges) {
        self.prune(now, room, changes);
        self.remove(key, room, changes);
    }

    pub(super) fn scan(&self, prefix: &RecordKey, now: Timestamp) -> Vec<(RecordKey, Vec<u8>)> {
        self.records
            .range(prefix..)
            .take_while(|(key, _)| key.as_bytes().starts_with(prefix.as_bytes()))
            .filter(|(_, record)| !record.is_gone(now))
            .map(|(key, record)| (key.clone(), record.value.clone()))
            .collect()
    }

    fn prune(&mut self, now: Timestamp, room: &Room, changes: &mut impl RecordChanges) {
        for _ in 0..PRUNED_AT_ONCE {
            let Some((_, key)) = self.expiries.first().filter(|(at, _)| *at < now) else { return };
            let key = key.clone();
            self.remove(&key, room, changes);
        }
    }

    fn remove(&mut self, key: &RecordKey, room: &Room, changes: &mut impl RecordChanges) {
        if let Some(record) = self.records.remove(key) {
            self.expiries.remove(&(record.expires_at, key.clone()));
            room.give_back(weight(key, &record));
            changes.record(key, Some(&record), None);
        }
    }

    fn note(&mut self, key: RecordKey, record: Record) {
        self.expiries.insert((record.expires_at, key.clone()));
        self.records.insert(key, record);
    }
}

#[cfg(feature = "replay-durable")]
impl Shelf {
    pub(super) fn load(&mut self, key: RecordKey, record: Record, room: &Room) {
        room.take_always(weight(&key, &record));
        self.note(key, record);
    }
}

impl Record {
    fn is_gone(&self, now: Timestamp) -> bool {
        self.expires_at < now
    }
}

/// The key stands in two places; the rest is what the trees cost.
fn weight(key: &RecordKey, record: &Record) -> usize {
    2 * key.as_bytes().len() + record.value.len() + OVERHEAD
}

const OVERHEAD: usize = 128;
const PRUNED_AT_ONCE: usize = 4;

/// A value may be no longer than the contract says.
pub(super) fn check_value(value: &[u8], store: &'static str) -> Result<(), StoreError> {
    if value.len() <= MAX_VALUE {
        return Ok(());
    }
    Err(StoreError::new(StoreErrorKind::Full, store, "a value of at most 64 KiB was expected"))
}

/// The longest value, in bytes.
const MAX_VALUE: usize = 64 * 1024;
