//! Ids of uses that ended without another trace.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    recent::Recent,
    replay::{ConsumptionKey, UseId},
};

/// Uses that ended although nothing else is known of them, each with the moment at which it was
/// noted. A use was released before it was granted, or an ended use was forgotten otherwise. A
/// later consume of such a use is refused.
#[derive(Debug)]
pub(in crate::replay) struct Released(Recent<(ConsumptionKey, UseId), Timestamp>);

impl Default for Released {
    fn default() -> Self {
        Self(Recent::new(MAX_RELEASED))
    }
}

impl Released {
    pub(in crate::replay) fn contains(&self, key: &ConsumptionKey, id: UseId) -> bool {
        self.0.contains(&(*key, id))
    }

    pub(in crate::replay) fn insert(&mut self, key: ConsumptionKey, id: UseId, now: Timestamp) {
        self.0.insert((key, id), now);
    }

    pub(in crate::replay) fn prune(&mut self, now: Timestamp) {
        for _ in 0..PRUNED_AT_ONCE {
            match self.0.oldest() {
                Some((_, at)) if is_forgotten(*at, now) => self.0.forget_oldest(),
                _ => return,
            }
        }
    }
}

/// Returns whether the id of a use that was granted or released at `at` may be forgotten. A moment
/// that is as far in the future came from a clock that was wrong.
pub(in crate::replay) fn is_forgotten(at: Timestamp, now: Timestamp) -> bool {
    now.saturating_since(at).max(at.saturating_since(now)) > REMEMBERED
}

/// How long the id of a use is remembered.
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
            "the same use twice counts once"
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
