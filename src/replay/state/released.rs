use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use crate::{
    clock::Timestamp,
    replay::{ConsumptionKey, UseId},
};

/// Uses that are over although nothing else is known of them: released before they were granted, or
/// once and for all. A consume of theirs that comes later is refused.
#[derive(Debug, Default)]
pub(in crate::replay) struct Released {
    known: HashSet<(ConsumptionKey, UseId)>,
    by_age: VecDeque<(Timestamp, ConsumptionKey, UseId)>,
}

impl Released {
    pub(in crate::replay) fn contains(&self, key: &ConsumptionKey, id: UseId) -> bool {
        !self.known.is_empty() && self.known.contains(&(*key, id))
    }

    pub(in crate::replay) fn insert(&mut self, key: ConsumptionKey, id: UseId, now: Timestamp) {
        if self.known.insert((key, id)) {
            self.by_age.push_back((now, key, id));
        }
        if self.known.len() > MAX_RELEASED {
            self.forget_oldest();
        }
    }

    pub(in crate::replay) fn prune(&mut self, now: Timestamp) {
        for _ in 0..PRUNED_AT_ONCE {
            if self
                .by_age
                .front()
                .is_some_and(|(at, ..)| is_forgotten(*at, now))
            {
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

/// Whether the time has passed for which the id of a use is remembered that was granted or released
/// at `at`. A moment that is as far ahead was told by a clock that went wrong.
pub(in crate::replay) fn is_forgotten(at: Timestamp, now: Timestamp) -> bool {
    now.saturating_since(at).max(at.saturating_since(now)) > REMEMBERED
}

const REMEMBERED: Duration = Duration::from_secs(600);
const MAX_RELEASED: usize = 8_192;
const PRUNED_AT_ONCE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::{Network, PaymentHash};

    fn id(number: usize) -> UseId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
        UseId::from_bytes(bytes)
    }

    const KEY: ConsumptionKey =
        ConsumptionKey::lightning(Network::Regtest, PaymentHash::from_bytes([1; 32]));
    const START: Timestamp = Timestamp::from_unix_seconds(10_000);

    #[test]
    fn the_oldest_is_forgotten_if_there_are_too_many() {
        let mut released = Released::default();
        for number in (0..MAX_RELEASED).chain([0]) {
            released.insert(KEY, id(number), START);
        }
        assert!(
            released.contains(&KEY, id(0)),
            "a second time is no second one"
        );
        released.insert(KEY, id(MAX_RELEASED), START);
        assert!(!released.contains(&KEY, id(0)));
        assert!((1..=MAX_RELEASED).all(|number| released.contains(&KEY, id(number))));
    }

    #[test]
    fn each_is_forgotten_ten_minutes_later_also_if_the_clock_went_back() {
        let after = |seconds| START.saturating_add(Duration::from_secs(seconds));
        let before = |seconds| Timestamp::from_unix_seconds(START.as_unix_seconds() - seconds);
        for (now, is_known) in [
            (after(600), true),
            (after(601), false),
            (before(600), true),
            (before(601), false),
        ] {
            let mut released = Released::default();
            released.insert(KEY, id(1), START);
            released.insert(KEY, id(2), now);
            released.prune(now);
            assert_eq!(released.contains(&KEY, id(1)), is_known, "{now:?}");
            assert!(released.contains(&KEY, id(2)));
        }
    }
}
