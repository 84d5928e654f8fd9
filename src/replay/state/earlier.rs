//! The granted uses before the last one of each payment.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{
    capacity::{Capacity, OutOfCapacity},
    changes::{Changes, UseState},
    released::is_forgotten,
};
use crate::{
    clock::Timestamp,
    replay::{ConsumptionKey, UseId},
};

/// Uses that were granted before the last one of their payment, and not given back. All of a
/// payment are remembered for ten minutes, up to a bound. The last few are remembered as long as
/// the payment.
#[derive(Debug, Default)]
pub(in crate::replay) struct EarlierUses {
    /// The uses of each payment, the oldest first.
    payments: HashMap<ConsumptionKey, VecDeque<Earlier>>,
    /// The uses of the last ten minutes by their number, with the moment of their grant.
    young: BTreeMap<u64, (ConsumptionKey, Timestamp)>,
    /// How many uses were noted. Numbers them.
    granted: u64,
    #[cfg(feature = "replay-durable")]
    loading: Vec<(ConsumptionKey, UseId, UseState)>,
}

#[derive(Clone, Copy, Debug)]
struct Earlier {
    number: u64,
    id: UseId,
    known: UseState,
}

impl EarlierUses {
    pub(in crate::replay) fn find(&self, key: &ConsumptionKey, id: UseId) -> Option<UseState> {
        let uses = self.payments.get(key)?;
        uses.iter()
            .rev()
            .find(|earlier| earlier.id == id)
            .map(|earlier| earlier.known)
    }

    pub(in crate::replay) fn insert(
        &mut self,
        key: &ConsumptionKey,
        id: UseId,
        known: UseState,
        now: Timestamp,
        capacity: &Capacity,
        changes: &mut impl Changes,
    ) -> Result<(), OutOfCapacity> {
        self.forget_old(key, KEPT - 1, capacity, changes);
        if self
            .payments
            .get(key)
            .is_some_and(|uses| uses.len() >= MAX_REMEMBERED)
        {
            self.forget_oldest(key, capacity, changes);
        }
        match capacity.take(1) {
            Err(OutOfCapacity) if is_forgotten(known.granted_at, now) => return Ok(()),
            taken => taken?,
        }
        self.note(*key, id, known);
        changes.earlier_use(key, &id, None, Some(&known));
        Ok(())
    }

    pub(in crate::replay) fn remove(
        &mut self,
        key: &ConsumptionKey,
        id: UseId,
        capacity: &Capacity,
        changes: &mut impl Changes,
    ) -> Option<UseState> {
        let uses = self.payments.get_mut(key)?;
        let at = uses.iter().rposition(|earlier| earlier.id == id)?;
        let earlier = uses.remove(at)?;
        self.forgotten(key, &earlier, capacity, changes);
        Some(earlier.known)
    }

    /// Forgets all uses of a payment.
    pub(in crate::replay) fn remove_payment(
        &mut self,
        key: &ConsumptionKey,
        capacity: &Capacity,
        changes: &mut impl Changes,
    ) {
        while self.payments.contains_key(key) {
            self.forget_oldest(key, capacity, changes);
        }
    }

    /// Checks the oldest of the uses of the last ten minutes, and forgets what is too old by now.
    pub(in crate::replay) fn prune(
        &mut self,
        now: Timestamp,
        capacity: &Capacity,
        changes: &mut impl Changes,
    ) {
        let Some(oldest) = self
            .young
            .first_entry()
            .filter(|oldest| is_forgotten(oldest.get().1, now))
        else {
            return;
        };
        let (key, _) = oldest.remove();
        self.forget_old(&key, KEPT, capacity, changes);
    }

    /// Forgets the old uses of a payment, except its last few.
    fn forget_old(
        &mut self,
        key: &ConsumptionKey,
        kept: usize,
        capacity: &Capacity,
        changes: &mut impl Changes,
    ) {
        let is_old =
            |earlier: &Earlier, young: &BTreeMap<_, _>| !young.contains_key(&earlier.number);
        while let Some(uses) = self.payments.get(key).filter(|uses| uses.len() > kept)
            && uses
                .front()
                .is_some_and(|oldest| is_old(oldest, &self.young))
        {
            self.forget_oldest(key, capacity, changes);
        }
    }

    fn forget_oldest(
        &mut self,
        key: &ConsumptionKey,
        capacity: &Capacity,
        changes: &mut impl Changes,
    ) {
        if let Some(earlier) = self.payments.get_mut(key).and_then(VecDeque::pop_front) {
            self.forgotten(key, &earlier, capacity, changes);
        }
    }

    fn forgotten(
        &mut self,
        key: &ConsumptionKey,
        earlier: &Earlier,
        capacity: &Capacity,
        changes: &mut impl Changes,
    ) {
        if self.payments.get(key).is_some_and(VecDeque::is_empty) {
            self.payments.remove(key);
        }
        self.young.remove(&earlier.number);
        capacity.give_back(1);
        changes.earlier_use(key, &earlier.id, Some(&earlier.known), None);
    }

    fn note(&mut self, key: ConsumptionKey, id: UseId, known: UseState) {
        self.granted += 1;
        self.young.insert(self.granted, (key, known.granted_at));
        self.payments.entry(key).or_default().push_back(Earlier {
            number: self.granted,
            id,
            known,
        });
    }
}

/// Loading what a disk holds.
#[cfg(feature = "replay-durable")]
impl EarlierUses {
    pub(in crate::replay) fn load(
        &mut self,
        key: ConsumptionKey,
        id: UseId,
        known: UseState,
        capacity: &Capacity,
    ) {
        capacity.take_always(1);
        self.loading.push((key, id, known));
    }

    pub(in crate::replay) fn finish_load(&mut self) {
        let mut loaded = std::mem::take(&mut self.loading);
        loaded.sort_unstable_by_key(|(_, id, known)| {
            (known.granted_at, u32::MAX - known.remaining, *id.as_bytes())
        });
        for (key, id, known) in loaded {
            self.note(key, id, known);
        }
    }
}

/// How many earlier uses of a payment are remembered as long as the payment.
const KEPT: usize = 4;
/// How many earlier uses of a payment are remembered at all.
const MAX_REMEMBERED: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        payment::{Network, PaymentHash},
        replay::state::changes::PaymentState,
    };

    const KEY: ConsumptionKey =
        ConsumptionKey::lightning(Network::Regtest, PaymentHash::from_bytes([1; 32]));
    const START: u64 = 10_000;

    /// Counts the records of earlier uses that a disk would hold.
    #[derive(Default)]
    struct RecordedUses(i32);

    impl Changes for RecordedUses {
        fn payment(
            &mut self,
            _: &ConsumptionKey,
            _: Option<&PaymentState>,
            _: Option<&PaymentState>,
        ) {
        }

        fn earlier_use(
            &mut self,
            _: &ConsumptionKey,
            _: &UseId,
            old: Option<&UseState>,
            new: Option<&UseState>,
        ) {
            self.0 += i32::from(new.is_some()) - i32::from(old.is_some());
        }

        fn pruned_until(&mut self, _: Option<Timestamp>, _: Timestamp) {}
    }

    struct Scene {
        uses: EarlierUses,
        capacity: Capacity,
        recorded: RecordedUses,
    }

    impl Scene {
        fn new(capacity: usize) -> Self {
            Self {
                uses: EarlierUses::default(),
                capacity: Capacity::new(capacity),
                recorded: RecordedUses::default(),
            }
        }

        fn insert(&mut self, number: u32, granted_at: u64, now: u64) -> Result<(), OutOfCapacity> {
            let now = Timestamp::from_unix_seconds(now);
            self.uses.insert(
                &KEY,
                id(number),
                known(number, granted_at),
                now,
                &self.capacity,
                &mut self.recorded,
            )
        }

        fn prune(&mut self, now: u64, times: usize) {
            for _ in 0..times {
                self.uses.prune(
                    Timestamp::from_unix_seconds(now),
                    &self.capacity,
                    &mut self.recorded,
                );
            }
        }

        fn held(&self) -> Vec<u32> {
            let held = self.uses.payments.get(&KEY).into_iter().flatten();
            let held: Vec<_> = held.map(|earlier| earlier.known.remaining).collect();
            assert_eq!(
                i32::try_from(held.len()).ok(),
                Some(self.recorded.0),
                "what is on disk"
            );
            held
        }
    }

    fn id(number: u32) -> UseId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        UseId::from_bytes(bytes)
    }

    fn known(number: u32, granted_at: u64) -> UseState {
        UseState {
            granted_at: Timestamp::from_unix_seconds(granted_at),
            remaining: number,
            released: false,
        }
    }

    #[test]
    fn old_uses_are_forgotten_except_the_last_few() {
        let mut scene = Scene::new(99);
        for number in 0..8 {
            assert!(scene.insert(number, START, START).is_ok());
        }
        scene.prune(START + 600, 8);
        assert_eq!(
            scene.held(),
            [0, 1, 2, 3, 4, 5, 6, 7],
            "for ten minutes all are known"
        );
        scene.prune(START + 601, 8);
        assert_eq!(scene.held(), [4, 5, 6, 7]);
        assert!(scene.insert(8, START + 601, START + 601).is_ok());
        assert_eq!(scene.held(), [5, 6, 7, 8]);
        assert_eq!(scene.uses.young.len(), 1);
    }

    #[test]
    fn of_one_payment_no_more_uses_are_remembered_than_the_bound() {
        let mut scene = Scene::new(9_999);
        for number in 0..MAX_REMEMBERED as u32 {
            assert!(scene.insert(number, START, START).is_ok());
        }
        assert_eq!((scene.held().len(), scene.held()[0]), (MAX_REMEMBERED, 0));
        assert!(scene.insert(5_000, START, START).is_ok());
        assert_eq!((scene.held().len(), scene.held()[0]), (MAX_REMEMBERED, 1));
        assert_eq!(scene.uses.young.len(), MAX_REMEMBERED);
    }

    #[test]
    fn without_room_a_use_is_refused_unless_it_is_old() {
        let mut scene = Scene::new(1);
        assert!(scene.insert(1, START, START).is_ok());
        assert!(scene.insert(2, START, START + 600).is_err());
        assert!(scene.insert(3, START, START + 601).is_ok());
        assert_eq!(scene.held(), [1], "and not remembered");
    }

    #[test]
    fn a_removed_use_or_payment_leaves_nothing_behind() {
        let mut scene = Scene::new(2);
        for number in [1, 2] {
            assert!(scene.insert(number, START, START).is_ok());
        }
        let removed = scene
            .uses
            .remove(&KEY, id(1), &scene.capacity, &mut scene.recorded);
        assert_eq!(removed, Some(known(1, START)));
        assert_eq!((scene.held(), scene.uses.young.len()), (vec![2], 1));
        assert!(scene.insert(3, START, START).is_ok(), "there is room again");
        scene
            .uses
            .remove_payment(&KEY, &scene.capacity, &mut scene.recorded);
        assert_eq!(
            (
                scene.held(),
                scene.uses.young.len(),
                scene.uses.payments.len()
            ),
            (vec![], 0, 0)
        );
        assert!(scene.insert(4, START, START).is_ok() && scene.insert(5, START, START).is_ok());
    }

    #[cfg(feature = "replay-durable")]
    #[test]
    fn uses_are_read_in_the_order_in_which_they_were_granted() {
        let mut scene = Scene::new(4);
        for (number, granted_at) in [(7, START + 1), (8, START), (9, START)] {
            scene
                .uses
                .load(KEY, id(number), known(number, granted_at), &scene.capacity);
        }
        scene.uses.finish_load();
        scene.recorded.0 = 3;
        assert_eq!(
            scene.held(),
            [9, 8, 7],
            "by time, then with ever fewer uses left"
        );
        assert!(
            scene.insert(1, START, START).is_ok() && scene.insert(2, START, START).is_err(),
            "what was read takes room"
        );
    }
}
