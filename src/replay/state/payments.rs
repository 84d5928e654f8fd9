use std::collections::{BTreeMap, HashMap};

use super::{
    capacity::{Full, Keys},
    changes::{Changes, Entry, Use},
    earlier::EarlierUses,
    released::Released,
};
use crate::{
    clock::Timestamp,
    replay::{Consumption, ConsumptionKey, ReleaseReason, UseId, UseRequest},
};

/// Which payments are spent, decided in memory: what [`MemoryStore`](crate::replay::MemoryStore) is, and
/// what the durable store writes down the changes of.
#[derive(Debug, Default)]
pub(in crate::replay) struct Payments {
    entries: HashMap<ConsumptionKey, Entry>,
    expiries: BTreeMap<Timestamp, Vec<ConsumptionKey>>,
    earlier: EarlierUses,
    released: Released,
}

impl Payments {
    pub(in crate::replay) fn consume(
        &mut self,
        request: &UseRequest,
        now: Timestamp,
        keys: &Keys,
        changes: &mut impl Changes,
    ) -> Result<Consumption, Full> {
        self.prune(now, keys, changes);
        let Some(entry) = self.entries.get(&request.key()).copied() else {
            return self.consume_unknown(request, now, keys, changes);
        };
        let mut next = Entry {
            retain_until: entry.retain_until.max(request.retain_until()),
            ..entry
        };
        let answer = if let Some(known) = self.find_use(&entry, &request.key(), request.use_id()) {
            if known.released {
                Consumption::Spent
            } else {
                Consumption::Granted {
                    remaining: known.remaining,
                }
            }
        } else if entry.taken >= request.limits().uses.get()
            || self.released.contains(&request.key(), request.use_id())
        {
            Consumption::Spent
        } else {
            self.set_apart(&request.key(), &entry, now, keys, changes)?;
            let remaining = request.limits().uses.get() - entry.taken - 1;
            next.taken += 1;
            next.restores = request.limits().restores;
            next.last = request.use_id();
            next.last_use = Use {
                granted_at: now,
                remaining,
                released: false,
            };
            Consumption::Granted { remaining }
        };
        self.rewrite(&request.key(), &entry, next, changes);
        Ok(answer)
    }

    /// Whether it was of a use that is known and was not released before.
    pub(in crate::replay) fn release(
        &mut self,
        key: ConsumptionKey,
        use_id: UseId,
        why: ReleaseReason,
        now: Timestamp,
        keys: &Keys,
        changes: &mut impl Changes,
    ) -> bool {
        self.prune(now, keys, changes);
        let entry = self.entries.get(&key).copied();
        let Some((entry, known)) =
            entry.and_then(|entry| Some((entry, self.find_use(&entry, &key, use_id)?)))
        else {
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
            ReleaseReason::NotServed => next.taken -= 1,
            ReleaseReason::Failed if entry.restored < entry.restores => {
                next.taken -= 1;
                next.restored += 1;
            }
            ReleaseReason::Failed => {}
        }
        self.rewrite(&key, &entry, next, changes);
        true
    }

    fn consume_unknown(
        &mut self,
        request: &UseRequest,
        now: Timestamp,
        keys: &Keys,
        changes: &mut impl Changes,
    ) -> Result<Consumption, Full> {
        if keys.may_have_pruned(request.retain_until())
            || self.released.contains(&request.key(), request.use_id())
        {
            return Ok(Consumption::Spent);
        }
        keys.room.take(1)?;
        let remaining = request.limits().uses.get() - 1;
        let entry = Entry {
            retain_until: request.retain_until(),
            taken: 1,
            restored: 0,
            restores: request.limits().restores,
            last: request.use_id(),
            last_use: Use {
                granted_at: now,
                remaining,
                released: false,
            },
        };
        self.note(request.key(), entry);
        changes.entry(&request.key(), None, Some(&entry));
        Ok(Consumption::Granted { remaining })
    }

    fn find_use(&self, entry: &Entry, key: &ConsumptionKey, use_id: UseId) -> Option<Use> {
        if entry.last == use_id {
            Some(entry.last_use)
        } else {
            self.earlier.find(key, use_id)
        }
    }

    /// Makes place for a later use beside the one that was last.
    fn set_apart(
        &mut self,
        key: &ConsumptionKey,
        entry: &Entry,
        now: Timestamp,
        keys: &Keys,
        changes: &mut impl Changes,
    ) -> Result<(), Full> {
        if entry.last_use.released {
            // what came back must cost no room, or one payment could come back until there is none
            self.released.insert(*key, entry.last, now);
            return Ok(());
        }
        self.earlier
            .insert(key, entry.last, entry.last_use, now, &keys.room, changes)
    }

    fn rewrite(
        &mut self,
        key: &ConsumptionKey,
        old: &Entry,
        new: Entry,
        changes: &mut impl Changes,
    ) {
        if *old != new {
            self.entries.insert(*key, new);
            changes.entry(key, Some(old), Some(&new));
        }
    }

    fn note(&mut self, key: ConsumptionKey, entry: Entry) {
        self.entries.insert(key, entry);
        self.expiries
            .entry(entry.retain_until)
            .or_default()
            .push(key);
    }

    /// Forgets a few things whose time has passed: more than one call can add, so that what is held
    /// stays bounded and no call pays for many.
    pub(in crate::replay) fn prune(
        &mut self,
        now: Timestamp,
        keys: &Keys,
        changes: &mut impl Changes,
    ) {
        for _ in 0..PRUNED_AT_ONCE {
            self.prune_entry(now, keys, changes);
            self.earlier.prune(now, &keys.room, changes);
        }
        self.released.prune(now);
    }

    fn prune_entry(&mut self, now: Timestamp, keys: &Keys, changes: &mut impl Changes) {
        let Some(mut first) = self
            .expiries
            .first_entry()
            .filter(|first| *first.key() < now)
        else {
            return;
        };
        let key = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        let Some((key, entry)) = key.and_then(|key| Some((key, *self.entries.get(&key)?))) else {
            return;
        };
        if entry.retain_until >= now {
            self.expiries
                .entry(entry.retain_until)
                .or_default()
                .push(key);
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
impl Payments {
    /// Forgets everything but the uses that no disk holds.
    pub(in crate::replay) fn clear(&mut self) {
        *self = Self {
            released: std::mem::take(&mut self.released),
            ..Self::default()
        };
    }

    pub(in crate::replay) fn load_entry(&mut self, key: ConsumptionKey, entry: Entry, keys: &Keys) {
        keys.room.take_always(1);
        self.note(key, entry);
    }

    pub(in crate::replay) fn load_earlier_use(
        &mut self,
        key: ConsumptionKey,
        id: UseId,
        known: Use,
        keys: &Keys,
    ) {
        self.earlier.load(key, id, known, &keys.room);
    }

    /// To be called once all is loaded.
    pub(in crate::replay) fn finish_load(&mut self) {
        self.earlier.finish_load();
    }
}

const PRUNED_AT_ONCE: usize = 4;

#[cfg(test)]
#[path = "tests/payments.rs"]
mod tests;
