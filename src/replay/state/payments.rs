use std::collections::{BTreeMap, HashMap};

use super::{
    capacity::{Keys, OutOfCapacity},
    changes::{Changes, PaymentState, UseState},
    earlier::EarlierUses,
    released::Released,
};
use crate::{
    clock::Timestamp,
    replay::{Consumption, ConsumptionKey, ReleaseReason, UseId, UseRequest},
};

/// The uses of payments, counted in memory. [`MemoryStore`](crate::replay::MemoryStore) holds this
/// and nothing else; the durable store also writes its changes to a disk.
#[derive(Debug, Default)]
pub(in crate::replay) struct SpentPayments {
    states: HashMap<ConsumptionKey, PaymentState>,
    expiries: BTreeMap<Timestamp, Vec<ConsumptionKey>>,
    earlier: EarlierUses,
    released: Released,
}

impl SpentPayments {
    pub(in crate::replay) fn consume(
        &mut self,
        request: &UseRequest,
        now: Timestamp,
        keys: &Keys,
        changes: &mut impl Changes,
    ) -> Result<Consumption, OutOfCapacity> {
        self.prune(now, keys, changes);
        let Some(state) = self.states.get(&request.key()).copied() else {
            return self.consume_unknown(request, now, keys, changes);
        };
        let mut next = PaymentState {
            retain_until: state.retain_until.max(request.retain_until()),
            ..state
        };
        let answer = if let Some(known) = self.find_use(&state, &request.key(), request.use_id()) {
            if known.released {
                Consumption::Spent
            } else {
                Consumption::Granted {
                    remaining: known.remaining,
                }
            }
        } else if state.taken >= request.limits().uses.get()
            || self.released.contains(&request.key(), request.use_id())
        {
            Consumption::Spent
        } else {
            self.set_apart(&request.key(), &state, now, keys, changes)?;
            let remaining = request.limits().uses.get() - state.taken - 1;
            next.taken += 1;
            next.restores = request.limits().restores;
            next.last = request.use_id();
            next.last_use = UseState {
                granted_at: now,
                remaining,
                released: false,
            };
            Consumption::Granted { remaining }
        };
        self.rewrite(&request.key(), &state, next, changes);
        Ok(answer)
    }

    /// Gives a use back. Returns whether the use is known and was not released before.
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
        let state = self.states.get(&key).copied();
        let Some((state, known)) =
            state.and_then(|state| Some((state, self.find_use(&state, &key, use_id)?)))
        else {
            self.released.insert(key, use_id, now);
            return false;
        };
        let mut next = state;
        match known {
            UseState { released: true, .. } => return false,
            _ if state.last == use_id => next.last_use.released = true,
            _ => {
                self.earlier.remove(&key, use_id, &keys.capacity, changes);
                self.released.insert(key, use_id, now);
            }
        }
        match why {
            ReleaseReason::NotServed => next.taken -= 1,
            ReleaseReason::Failed if state.restored < state.restores => {
                next.taken -= 1;
                next.restored += 1;
            }
            ReleaseReason::Failed => {}
        }
        self.rewrite(&key, &state, next, changes);
        true
    }

    fn consume_unknown(
        &mut self,
        request: &UseRequest,
        now: Timestamp,
        keys: &Keys,
        changes: &mut impl Changes,
    ) -> Result<Consumption, OutOfCapacity> {
        if keys.may_have_pruned(request.retain_until())
            || self.released.contains(&request.key(), request.use_id())
        {
            return Ok(Consumption::Spent);
        }
        keys.capacity.take(1)?;
        let remaining = request.limits().uses.get() - 1;
        let state = PaymentState {
            retain_until: request.retain_until(),
            taken: 1,
            restored: 0,
            restores: request.limits().restores,
            last: request.use_id(),
            last_use: UseState {
                granted_at: now,
                remaining,
                released: false,
            },
        };
        self.note(request.key(), state);
        changes.payment(&request.key(), None, Some(&state));
        Ok(Consumption::Granted { remaining })
    }

    fn find_use(
        &self,
        state: &PaymentState,
        key: &ConsumptionKey,
        use_id: UseId,
    ) -> Option<UseState> {
        if state.last == use_id {
            Some(state.last_use)
        } else {
            self.earlier.find(key, use_id)
        }
    }

    /// Moves the last use to the earlier ones, so that another can be the last.
    fn set_apart(
        &mut self,
        key: &ConsumptionKey,
        state: &PaymentState,
        now: Timestamp,
        keys: &Keys,
        changes: &mut impl Changes,
    ) -> Result<(), OutOfCapacity> {
        if state.last_use.released {
            // What came back must take no capacity, or one payment could use up all of it.
            self.released.insert(*key, state.last, now);
            return Ok(());
        }
        self.earlier.insert(
            key,
            state.last,
            state.last_use,
            now,
            &keys.capacity,
            changes,
        )
    }

    fn rewrite(
        &mut self,
        key: &ConsumptionKey,
        old: &PaymentState,
        new: PaymentState,
        changes: &mut impl Changes,
    ) {
        if *old != new {
            self.states.insert(*key, new);
            changes.payment(key, Some(old), Some(&new));
        }
    }

    fn note(&mut self, key: ConsumptionKey, state: PaymentState) {
        self.states.insert(key, state);
        self.expiries
            .entry(state.retain_until)
            .or_default()
            .push(key);
    }

    /// Forgets a few expired things. They are more than one call can add, so that memory stays
    /// bounded, and few, so that no call pays for many.
    pub(in crate::replay) fn prune(
        &mut self,
        now: Timestamp,
        keys: &Keys,
        changes: &mut impl Changes,
    ) {
        for _ in 0..PRUNED_AT_ONCE {
            self.prune_payment(now, keys, changes);
            self.earlier.prune(now, &keys.capacity, changes);
        }
        self.released.prune(now);
    }

    fn prune_payment(&mut self, now: Timestamp, keys: &Keys, changes: &mut impl Changes) {
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
        let Some((key, state)) = key.and_then(|key| Some((key, *self.states.get(&key)?))) else {
            return;
        };
        if state.retain_until >= now {
            self.expiries
                .entry(state.retain_until)
                .or_default()
                .push(key);
            return;
        }
        self.states.remove(&key);
        self.earlier.remove_payment(&key, &keys.capacity, changes);
        keys.capacity.give_back(1);
        changes.payment(&key, Some(&state), None);
        if let Some(before) = keys.prune(state.retain_until) {
            changes.pruned_until(before, state.retain_until);
        }
    }
}

/// Loading what a disk holds.
#[cfg(feature = "replay-durable")]
impl SpentPayments {
    /// Forgets everything that a disk holds. Releases of unknown uses stay: no disk holds them.
    pub(in crate::replay) fn clear(&mut self) {
        *self = Self {
            released: std::mem::take(&mut self.released),
            ..Self::default()
        };
    }

    pub(in crate::replay) fn load_payment(
        &mut self,
        key: ConsumptionKey,
        state: PaymentState,
        keys: &Keys,
    ) {
        keys.capacity.take_always(1);
        self.note(key, state);
    }

    pub(in crate::replay) fn load_earlier_use(
        &mut self,
        key: ConsumptionKey,
        id: UseId,
        known: UseState,
        keys: &Keys,
    ) {
        self.earlier.load(key, id, known, &keys.capacity);
    }

    /// Ends the load. Call it once everything is loaded.
    pub(in crate::replay) fn finish_load(&mut self) {
        self.earlier.finish_load();
    }
}

const PRUNED_AT_ONCE: usize = 4;

#[cfg(test)]
#[path = "tests/payments.rs"]
mod tests;
