use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::Duration,
};

use super::{
    Consumption, ConsumptionKey, Limits, Release, UseId,
    room::{NoRoom, Room},
};
use crate::clock::Timestamp;

/// Which payments are spent, decided in memory: what [`MemoryStore`](super::MemoryStore) is, and what the durable store
/// writes down the changes of.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: HashMap<ConsumptionKey, Entry>,
    expiries: BTreeMap<Timestamp, Vec<ConsumptionKey>>,
    earlier: HashMap<(ConsumptionKey, UseId), Use>,
    earlier_by_age: VecDeque<(Timestamp, ConsumptionKey, UseId)>,
    early_releases: EarlyReleases,
    pruned_until: Option<Timestamp>,
}

/// What is known of one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) retain_until: Timestamp,
    /// Uses granted and not given back.
    pub(super) taken: u32,
    /// Failed uses that were given back, and how many may be.
    pub(super) restored: u32,
    pub(super) restores: u32,
    /// The use granted last. The ones before it stand apart, so that the cost of one does not grow with their number.
    pub(super) last: UseId,
    pub(super) last_use: Use,
}

/// What is known of one granted use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) granted_at: Timestamp,
    pub(super) remaining: u32,
    pub(super) released: bool,
}

/// Hears what changed, with what was before: none of both is no record.
pub(super) trait Changes {
    fn entry(&mut self, key: &ConsumptionKey, old: Option<&Entry>, new: Option<&Entry>);
    fn earlier_use(&mut self, key: &ConsumptionKey, id: &UseId, old: Option<&Use>, new: Option<&Use>);
    fn pruned_until(&mut self, old: Option<Timestamp>, new: Timestamp);
}

/// For a store that keeps nothing but memory.
impl Changes for () {
    fn entry(&mut self, _: &ConsumptionKey, _: Option<&Entry>, _: Option<&Entry>) {}
    fn earlier_use(&mut self, _: &ConsumptionKey, _: &UseId, _: Option<&Use>, _: Option<&Use>) {}
    fn pruned_until(&mut self, _: Option<Timestamp>, _: Timestamp) {}
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
        room: &Room,
        changes: &mut impl Changes,
    ) -> Result<Consumption, NoRoom> {
        self.prune(now, room, changes);
        let Some(entry) = self.entries.get(&ask.key).copied() else {
            return self.consume_unknown(ask, now, room, changes);
        };
        let mut next = Entry { retain_until: entry.retain_until.max(ask.retain_until), ..entry };
        let answer = if let Some(known) = self.find_use(&entry, &ask.key, ask.use_id) {
            if known.released { Consumption::Spent } else { Consumption::Granted { remaining: known.remaining } }
        } else if entry.taken >= ask.limits.uses.get() || self.early_releases.contains(&ask.key, ask.use_id) {
            Consumption::Spent
        } else {
            self.set_apart(&ask.key, &entry, now, room, changes)?;
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

    pub(super) fn release(
        &mut self,
        key: ConsumptionKey,
        use_id: UseId,
        why: Release,
        now: Timestamp,
        room: &Room,
        changes: &mut impl Changes,
    ) {
        self.prune(now, room, changes);
        let Some(entry) = self.entries.get(&key).copied() else {
            return self.early_releases.insert(key, use_id, now);
        };
        let mut next = entry;
        match self.find_use(&entry, &key, use_id) {
            None => return self.early_releases.insert(key, use_id, now),
            Some(known) if known.released => return,
            Some(known) => {
                let released = Use { released: true, ..known };
                if entry.last == use_id {
                    next.last_use = released;
                } else {
                    self.earlier.insert((key, use_id), released);
                    changes.earlier_use(&key, &use_id, Some(&known), Some(&released));
                }
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
    }

    fn consume_unknown(
        &mut self,
        ask: &Ask,
        now: Timestamp,
        room: &Room,
        changes: &mut impl Changes,
    ) -> Result<Consumption, NoRoom> {
        if self.pruned_until.is_some_and(|pruned| ask.retain_until <= pruned)
            || self.early_releases.contains(&ask.key, ask.use_id)
        {
            return Ok(Consumption::Spent);
        }
        room.take(1)?;
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
        if entry.last == use_id { Some(entry.last_use) } else { self.earlier.get(&(*key, use_id)).copied() }
    }

    /// Makes place for a later use beside the one that was last.
    fn set_apart(
        &mut self,
        key: &ConsumptionKey,
        entry: &Entry,
        now: Timestamp,
        room: &Room,
        changes: &mut impl Changes,
    ) -> Result<(), NoRoom> {
        if !is_forgotten(entry.last_use.granted_at, now) {
            room.take(1)?;
            self.note_earlier(*key, entry.last, entry.last_use);
            changes.earlier_use(key, &entry.last, None, Some(&entry.last_use));
        }
        Ok(())
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

    fn note_earlier(&mut self, key: ConsumptionKey, id: UseId, known: Use) {
        self.earlier.insert((key, id), known);
        self.earlier_by_age.push_back((known.granted_at, key, id));
    }

    /// Forgets a few things whose time has passed: more than one call can add, so that what is held stays bounded and no
    /// call pays for many.
    pub(super) fn prune(&mut self, now: Timestamp, room: &Room, changes: &mut impl Changes) {
        for _ in 0..PRUNED_AT_ONCE {
            self.prune_entry(now, room, changes);
            self.prune_earlier_use(now, room, changes);
        }
        self.early_releases.prune(now);
    }

    fn prune_entry(&mut self, now: Timestamp, room: &Room, changes: &mut impl Changes) {
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
        room.give_back(1);
        changes.entry(&key, Some(&entry), None);
        if self.pruned_until.is_none_or(|pruned| pruned < entry.retain_until) {
            changes.pruned_until(self.pruned_until, entry.retain_until);
            self.pruned_until = Some(entry.retain_until);
        }
    }

    fn prune_earlier_use(&mut self, now: Timestamp, room: &Room, changes: &mut impl Changes) {
        let Some((at, key, id)) = self.earlier_by_age.front().copied() else { return };
        if is_forgotten(at, now) {
            self.earlier_by_age.pop_front();
            let known = self.earlier.remove(&(key, id));
            room.give_back(1);
            changes.earlier_use(&key, &id, known.as_ref(), None);
        }
    }
}

/// Taking in what a disk holds.
#[cfg(feature = "replay-durable")]
impl Book {
    /// Forgets everything but the releases that came before their use: no disk holds those.
    pub(super) fn clear(&mut self) {
        *self = Self { early_releases: std::mem::take(&mut self.early_releases), ..Self::default() };
    }

    pub(super) fn load_entry(&mut self, key: ConsumptionKey, entry: Entry, room: &Room) {
        room.take_always(1);
        self.note(key, entry);
    }

    pub(super) fn load_earlier_use(&mut self, key: ConsumptionKey, id: UseId, known: Use, room: &Room) {
        room.take_always(1);
        self.note_earlier(key, id, known);
    }

    pub(super) const fn load_pruned_until(&mut self, pruned: Timestamp) {
        self.pruned_until = Some(pruned);
    }

    /// To be called once all is loaded.
    pub(super) fn finish_load(&mut self) {
        self.earlier_by_age.make_contiguous().sort_unstable_by_key(|(at, ..)| *at);
    }
}

/// Releases of uses that were not granted (yet): the consume that comes later is refused.
#[derive(Debug, Default)]
struct EarlyReleases {
    known: HashSet<(ConsumptionKey, UseId)>,
    by_age: VecDeque<(Timestamp, ConsumptionKey, UseId)>,
}

impl EarlyReleases {
    fn contains(&self, key: &ConsumptionKey, id: UseId) -> bool {
        !self.known.is_empty() && self.known.contains(&(*key, id))
    }

    fn insert(&mut self, key: ConsumptionKey, id: UseId, now: Timestamp) {
        if self.known.insert((key, id)) {
            self.by_age.push_back((now, key, id));
        }
        if self.known.len() > MAX_EARLY_RELEASES {
            self.forget_oldest();
        }
    }

    fn prune(&mut self, now: Timestamp) {
        for _ in 0..PRUNED_AT_ONCE {
            if self.by_age.front().is_some_and(|(at, ..)| is_forgotten(*at, now)) {
                self.forget_oldest();
            }
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key, id)) = self.by_age.pop_front() {
            self.known.remove(&(key, id));
        }
    }
}

fn is_forgotten(at: Timestamp, now: Timestamp) -> bool {
    now.saturating_since(at) > REMEMBERED
}

/// How long a use id is remembered.
const REMEMBERED: Duration = Duration::from_secs(600);
const PRUNED_AT_ONCE: usize = 4;
const MAX_EARLY_RELEASES: usize = 65_536;
