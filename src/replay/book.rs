use std::collections::{BTreeMap, HashMap};

use super::{
    Consumption, ConsumptionKey, Limits, Release, UseId,
    changes::{Changes, Entry, Use},
    earlier::EarlierUses,
    released::Released,
    room::{Keys, NoRoom},
};
use crate::clock::Timestamp;

/// Which payments are spent, decided in memory: what [`MemoryStore`](super::MemoryStore) is, and what the durable store
/// writes down the changes of.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: HashMap<ConsumptionKey, Entry>,
    expiries: BTreeMap<Timestamp, Vec<ConsumptionKey>>,
    earlier: EarlierUses,
    released: Released,
}

/// What [`ReplayStore::consume`](super::ReplayStore::consume) is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) key: ConsumptionKey,
    pub(super) use_id: UseId,
    pub(super) limits: Limits,
    pub(super) retain_until: Timestamp,
}

impl Book {
    pub(super) fn consume(
        &mut self,
        ask: &Ask,
        now: Timestamp,
        keys: &Keys,
        changes: &mut impl Changes,
    ) -> Result<Consumption, NoRoom> {
        self.prune(now, keys, changes);
        let Some(entry) = self.entries.get(&ask.key).copied() else {
            return self.consume_unknown(ask, now, keys, changes);
        };
        let mut next = Entry { retain_until: entry.retain_until.max(ask.retain_until), ..entry };
        let answer = if let Some(known) = self.find_use(&entry, &ask.key, ask.use_id) {
            if known.released { Consumption::Spent } else { Consumption::Granted { remaining: known.remaining } }
        } else if entry.taken >= ask.limits.uses.get() || self.released.contains(&ask.key, ask.use_id) {
            Consumption::Spent
        } else {
            self.set_apart(&ask.key, &entry, now, keys, changes)?;
            let remaining = ask.limits.uses.get() - entry.taken - 1;
            next.taken += 1;
            next.restores = ask.limits.restores;
            next.last = ask.use_id;
            next.last_use = Use { granted_at: now, remaining, released: false };
            Consumption::Granted { remaining }
        };
        self.rewrite(&ask.key, &entry, next, changes);
        Ok(answer)
    }

    /// Whether it was of a use that is known and was not released before.
    pub(super) fn release(
        &mut self,
        key: ConsumptionKey,
        use_id: UseId,
        why: Release,
        now: Timestamp,
        keys: &Keys,
        changes: &mut impl Changes,
    ) -> bool {
        self.prune(now, keys, changes);
        let entry = self.entries.get(&key).copied();
        let Some((entry, known)) = entry.and_then(|entry| Some((entry, self.find_use(&entry, &key, use_id)?))) else {
            self.released.insert(key, use_id, now);
            return false;
        };
        let mut next = entry;
        match known {
            Use { released: true, .. } => return false,
            _ if entry.last == use_id => next.last_use.released = true,
            _ => {
                self.earlier.remove(&key, use_id, &keys.room, changes);
                self.released.insert(key, use_id, now);
            }
        }
        match why {
            Release::NotServed => next.taken -= 1,
            Release::Failed if entry.restored < entry.restores => {
                next.taken -= 1;
                next.restored += 1;
            }
            Release::Failed => {}
        }
        self.rewrite(&key, &entry, next, changes);
        true
    }

    fn consume_unknown(
        &mut self,
        ask: &Ask,
        now: Timestamp,
        keys: &Keys,
        changes: &mut impl Changes,
    ) -> Result<Consumption, NoRoom> {
        if keys.may_have_pruned(ask.retain_until) || self.released.contains(&ask.key, ask.use_id) {
            return Ok(Consumption::Spent);
        }
        keys.room.take(1)?;
        let remaining = ask.limits.uses.get() - 1;
        let entry = Entry {
            retain_until: ask.retain_until,
            taken: 1,
            restored: 0,
            restores: ask.limits.restores,
            last: ask.use_id,
            last_use: Use { granted_at: now, remaining, released: false },
        };
        self.note(ask.key, entry);
        changes.entry(&ask.key, None, Some(&entry));
        Ok(Consumption::Granted { remaining })
    }

    fn find_use(&self, entry: &Entry, key: &ConsumptionKey, use_id: UseId) -> Option<Use> {
        if entry.last == use_id { Some(entry.last_use) } else { self.earlier.find(key, use_id) }
    }

    /// Makes place for a later use beside the one that was last.
    fn set_apart(
        &mut self,
        key: &ConsumptionKey,
        entry: &Entry,
        now: Timestamp,
        keys: &Keys,
        changes: &mut impl Changes,
    ) -> Result<(), NoRoom> {
        if entry.last_use.released {
            // what came back must cost no room, or one payment could come back until there is none
            self.released.insert(*key, entry.last, now);
            return Ok(());
        }
        self.earlier.insert(key, entry.last, entry.last_use, now, &keys.room, changes)
    }

    fn rewrite(&mut self, key: &ConsumptionKey, old: &Entry, new: Entry, changes: &mut impl Changes) {
        if *old != new {
            self.entries.insert(*key, new);
            changes.entry(key, Some(old), Some(&new));
        }
    }

    fn note(&mut self, key: ConsumptionKey, entry: Entry) {
        self.entries.insert(key, entry);
        self.expiries.entry(entry.retain_until).or_default().push(key);
    }

    /// Forgets a few things whose time has passed: more than one call can add, so that what is held stays bounded and no
    /// call pays for many.
    pub(super) fn prune(&mut self, now: Timestamp, keys: &Keys, changes: &mut impl Changes) {
        for _ in 0..PRUNED_AT_ONCE {
            self.prune_entry(now, keys, changes);
            self.earlier.prune(now, &keys.room, changes);
        }
        self.released.prune(now);
    }

    fn prune_entry(&mut self, now: Timestamp, keys: &Keys, changes: &mut impl Changes) {
        let Some(mut first) = self.expiries.first_entry().filter(|first| *first.key() < now) else { return };
        let key = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        let Some((key, entry)) = key.and_then(|key| Some((key, *self.entries.get(&key)?))) else { return };
        if entry.retain_until >= now {
            self.expiries.entry(entry.retain_until).or_default().push(key);
            return;
        }
        self.entries.remove(&key);
        self.earlier.remove_payment(&key, &keys.room, changes);
        keys.room.give_back(1);
        changes.entry(&key, Some(&entry), None);
        if let Some(before) = keys.prune(entry.retain_until) {
            changes.pruned_until(before, entry.retain_until);
        }
    }
}

/// Taking in what a disk holds.
#[cfg(feature = "replay-durable")]
impl Book {
    /// Forgets everything but the uses that no disk holds.
    pub(super) fn clear(&mut self) {
        *self = Self { released: std::mem::take(&mut self.released), ..Self::default() };
    }

    pub(super) fn load_entry(&mut self, key: ConsumptionKey, entry: Entry, keys: &Keys) {
        keys.room.take_always(1);
        self.note(key, entry);
    }

    pub(super) fn load_earlier_use(&mut self, key: ConsumptionKey, id: UseId, known: Use, keys: &Keys) {
        self.earlier.load(key, id, known, &keys.room);
    }

    /// To be called once all is loaded.
    pub(super) fn finish_load(&mut self) {
        self.earlier.finish_load();
    }
}

const PRUNED_AT_ONCE: usize = 4;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::payment::{Network, PaymentHash};

    /// Counts the records of payments that a disk would hold.
    #[derive(Default)]
    struct Written {
        entries: i32,
        pruned: Vec<(Option<u64>, u64)>,
    }

    impl Changes for Written {
        fn entry(&mut self, _: &ConsumptionKey, old: Option<&Entry>, new: Option<&Entry>) {
            self.entries += i32::from(new.is_some()) - i32::from(old.is_some());
        }

        fn earlier_use(&mut self, _: &ConsumptionKey, _: &UseId, _: Option<&Use>, _: Option<&Use>) {}

        fn pruned_until(&mut self, old: Option<Timestamp>, new: Timestamp) {
            self.pruned.push((old.map(Timestamp::as_unix_seconds), new.as_unix_seconds()));
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(1_000_000 + seconds)
    }

    fn key(number: u8) -> ConsumptionKey {
        ConsumptionKey::new(Network::Regtest, PaymentHash::from_bytes([number; 32]))
    }

    fn id(number: u8) -> UseId {
        UseId::from_bytes([number; 16])
    }

    /// A book with its room and a disk; every ask is of payment `payment`, to be kept until `until`.
    struct Scene {
        book: Book,
        keys: Keys,
        written: Written,
    }

    impl Scene {
        fn new(capacity: usize) -> Self {
            Self { book: Book::default(), keys: Keys::new(capacity), written: Written::default() }
        }

        fn consume(&mut self, (payment, use_id): (u8, u8), limits: Limits, until: u64, now: u64) -> Result<bool, NoRoom> {
            let ask = Ask { key: key(payment), use_id: id(use_id), limits, retain_until: at(until) };
            let answer = self.book.consume(&ask, at(now), &self.keys, &mut self.written)?;
            Ok(matches!(answer, Consumption::Granted { .. }))
        }

        fn release(&mut self, (payment, use_id): (u8, u8), why: Release, now: u64) -> bool {
            self.book.release(key(payment), id(use_id), why, at(now), &self.keys, &mut self.written)
        }
    }

    fn uses(count: u32, restores: u32) -> Limits {
        Limits::new(NonZeroU32::new(count).unwrap(), restores)
    }

    #[test]
    fn what_has_ended_is_forgotten_in_memory_and_on_disk_and_makes_room() {
        let mut scene = Scene::new(3);
        for (payment, until) in [(1, 10), (2, 20), (3, 30)] {
            assert_eq!(scene.consume((payment, 1), uses(1, 0), until, 0).ok(), Some(true));
        }
        assert!(scene.consume((4, 1), uses(1, 0), 99, 30).is_ok(), "two have ended");
        assert_eq!((scene.written.entries, scene.book.entries.len(), scene.book.expiries.len()), (2, 2, 2));
        assert_eq!(
            scene.written.pruned,
            [(None, at(10).as_unix_seconds()), (Some(at(10).as_unix_seconds()), at(20).as_unix_seconds())]
        );
        assert_eq!(scene.consume((1, 2), uses(1, 0), 20, 30).ok(), Some(false), "it may have been spent");
        assert!(scene.consume((5, 1), uses(1, 0), 99, 30).is_ok());
        assert!(scene.consume((6, 1), uses(1, 0), 99, 30).is_err(), "three are held");
    }

    #[test]
    fn what_is_kept_for_longer_than_at_first_is_forgotten_after_that() {
        let mut scene = Scene::new(1);
        assert!(scene.consume((1, 1), uses(1, 0), 10, 0).is_ok());
        assert!(scene.consume((1, 2), uses(1, 0), 50, 0).is_ok());
        assert!(scene.consume((2, 1), uses(1, 0), 99, 11).is_err());
        assert_eq!(scene.consume((1, 3), uses(1, 0), 50, 50).ok(), Some(false), "until its last second");
        assert!(scene.consume((2, 1), uses(1, 0), 99, 51).is_ok());
    }

    #[test]
    fn a_release_forgets_what_has_ended_too() {
        let mut scene = Scene::new(9);
        assert!(scene.consume((1, 1), uses(1, 0), 10, 0).is_ok());
        assert!(!scene.release((2, 1), Release::NotServed, 11));
        assert!(scene.book.entries.is_empty());
    }

    #[test]
    fn a_release_says_whether_it_gave_anything_back() {
        let mut scene = Scene::new(9);
        assert!(!scene.release((1, 1), Release::NotServed, 0), "of a use that is not known");
        assert_eq!(scene.consume((1, 1), uses(2, 0), 99, 0).ok(), Some(false), "and that comes later");
        for use_id in [2, 3] {
            assert_eq!(scene.consume((1, use_id), uses(2, 0), 99, 0).ok(), Some(true));
        }
        for use_id in [2, 3] {
            assert!(scene.release((1, use_id), Release::NotServed, 0));
            assert!(!scene.release((1, use_id), Release::NotServed, 0), "a second time");
        }
    }

    #[test]
    fn a_release_that_came_first_is_remembered_for_ten_minutes() {
        for (later, is_granted) in [(600, false), (601, true)] {
            let mut scene = Scene::new(9);
            assert!(!scene.release((1, 1), Release::NotServed, 0));
            assert_eq!(scene.consume((1, 1), uses(1, 0), 9_999, later).ok(), Some(is_granted), "{later} s");
        }
    }

    #[test]
    fn what_was_asked_last_says_how_many_failed_uses_come_back() {
        for (restores, comes_back) in [(0, false), (1, true)] {
            let mut scene = Scene::new(9);
            assert!(scene.consume((1, 1), uses(2, 0), 99, 0).is_ok());
            assert!(scene.consume((1, 2), uses(2, restores), 99, 0).is_ok());
            assert!(scene.release((1, 2), Release::Failed, 0));
            assert_eq!(scene.consume((1, 3), uses(2, restores), 99, 0).ok(), Some(comes_back));
        }
    }

    #[cfg(feature = "replay-durable")]
    #[test]
    fn what_is_read_again_replaces_all_but_the_uses_that_no_disk_holds() {
        let mut scene = Scene::new(1);
        assert!(scene.consume((1, 1), uses(1, 0), 99, 0).is_ok());
        let entry = scene.book.entries[&key(1)];
        assert!(!scene.release((2, 1), Release::NotServed, 0));
        scene.book.clear();
        scene.keys = Keys::new(2);
        assert!(scene.book.entries.is_empty() && scene.book.expiries.is_empty());
        scene.book.load_entry(key(1), entry, &scene.keys);
        scene.book.finish_load();
        assert_eq!(scene.consume((1, 2), uses(1, 0), 99, 0).ok(), Some(false));
        assert_eq!(scene.consume((2, 1), uses(1, 0), 99, 0).ok(), Some(false), "released before");
        assert_eq!(scene.consume((2, 2), uses(1, 0), 99, 0).ok(), Some(true));
        assert!(scene.consume((3, 1), uses(1, 0), 99, 0).is_err(), "what was read takes room");
    }
}
