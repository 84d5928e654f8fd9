use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{
    ConsumptionKey, UseId,
    changes::{Changes, Use},
    released::is_forgotten,
    room::{NoRoom, Room},
};
use crate::clock::Timestamp;

/// Uses that were granted before the last one of their payment and not given back: for some time all of them, within a
/// bound, and the last few as long as their payment.
#[derive(Debug, Default)]
pub(super) struct EarlierUses {
    /// Of each payment, the oldest first.
    payments: HashMap<ConsumptionKey, VecDeque<Earlier>>,
    /// Those whose time has not passed.
    young: BTreeMap<u64, (ConsumptionKey, Timestamp)>,
    granted: u64,
    #[cfg(feature = "replay-durable")]
    loading: Vec<(ConsumptionKey, UseId, Use)>,
}

#[derive(Clone, Copy, Debug)]
struct Earlier {
    number: u64,
    id: UseId,
    known: Use,
}

impl EarlierUses {
    pub(super) fn find(&self, key: &ConsumptionKey, id: UseId) -> Option<Use> {
        let uses = self.payments.get(key)?;
        uses.iter().rev().find(|earlier| earlier.id == id).map(|earlier| earlier.known)
    }

    pub(super) fn insert(
        &mut self,
        key: &ConsumptionKey,
        id: UseId,
        known: Use,
        now: Timestamp,
        room: &Room,
        changes: &mut impl Changes,
    ) -> Result<(), NoRoom> {
        self.forget_old(key, KEPT - 1, room, changes);
        if self.payments.get(key).is_some_and(|uses| uses.len() >= MAX_REMEMBERED) {
            self.forget_oldest(key, room, changes);
        }
        match room.take(1) {
            Err(NoRoom) if is_forgotten(known.granted_at, now) => return Ok(()),
            taken => taken?,
        }
        self.note(*key, id, known);
        changes.earlier_use(key, &id, None, Some(&known));
        Ok(())
    }

    pub(super) fn remove(&mut self, key: &ConsumptionKey, id: UseId, room: &Room, changes: &mut impl Changes) -> Option<Use> {
        let uses = self.payments.get_mut(key)?;
        let at = uses.iter().rposition(|earlier| earlier.id == id)?;
        let earlier = uses.remove(at)?;
        self.forgotten(key, &earlier, room, changes);
        Some(earlier.known)
    }

    /// Forgets all uses of a payment.
    pub(super) fn remove_payment(&mut self, key: &ConsumptionKey, room: &Room, changes: &mut impl Changes) {
        while self.payments.contains_key(key) {
            self.forget_oldest(key, room, changes);
        }
    }

    /// Lets the time of one use pass.
    pub(super) fn prune(&mut self, now: Timestamp, room: &Room, changes: &mut impl Changes) {
        let Some(oldest) = self.young.first_entry().filter(|oldest| is_forgotten(oldest.get().1, now)) else { return };
        let (key, _) = oldest.remove();
        self.forget_old(&key, KEPT, room, changes);
    }

    /// Forgets what is past its time and not among the last few.
    fn forget_old(&mut self, key: &ConsumptionKey, kept: usize, room: &Room, changes: &mut impl Changes) {
        let is_old = |earlier: &Earlier, young: &BTreeMap<_, _>| !young.contains_key(&earlier.number);
        while let Some(uses) = self.payments.get(key).filter(|uses| uses.len() > kept)
            && uses.front().is_some_and(|oldest| is_old(oldest, &self.young))
        {
            self.forget_oldest(key, room, changes);
        }
    }

    fn forget_oldest(&mut self, key: &ConsumptionKey, room: &Room, changes: &mut impl Changes) {
        if let Some(earlier) = self.payments.get_mut(key).and_then(VecDeque::pop_front) {
            self.forgotten(key, &earlier, room, changes);
        }
    }

    fn forgotten(&mut self, key: &ConsumptionKey, earlier: &Earlier, room: &Room, changes: &mut impl Changes) {
        if self.payments.get(key).is_some_and(VecDeque::is_empty) {
            self.payments.remove(key);
        }
        self.young.remove(&earlier.number);
        room.give_back(1);
        changes.earlier_use(key, &earlier.id, Some(&earlier.known), None);
    }

    fn note(&mut self, key: ConsumptionKey, id: UseId, known: Use) {
        self.granted += 1;
        self.young.insert(self.granted, (key, known.granted_at));
        self.payments.entry(key).or_default().push_back(Earlier { number: self.granted, id, known });
    }
}

/// Taking in what a disk holds.
#[cfg(feature = "replay-durable")]
impl EarlierUses {
    pub(super) fn load(&mut self, key: ConsumptionKey, id: UseId, known: Use, room: &Room) {
        room.take_always(1);
        self.loading.push((key, id, known));
    }

    pub(super) fn finish_load(&mut self) {
        let mut loaded = std::mem::take(&mut self.loading);
        loaded.sort_unstable_by_key(|(_, id, known)| (known.granted_at, u32::MAX - known.remaining, *id.as_bytes()));
        for (key, id, known) in loaded {
            self.note(key, id, known);
        }
    }
}

/// How many earlier uses of one payment are remembered as long as the payment itself.
const KEPT: usize = 4;
/// How many of one payment are remembered at all.
const MAX_REMEMBERED: usize = 1_024;
