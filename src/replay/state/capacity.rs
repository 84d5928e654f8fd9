//! What is shared by the parts of one store: how much they hold, and how much they have forgotten.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::clock::Timestamp;

/// A bound on how much is held, and how much is. The unit is that of the caller: keys or bytes.
#[derive(Debug)]
pub(in crate::replay) struct Capacity {
    held: AtomicUsize,
    capacity: usize,
}

/// Nothing was taken: the bound would be crossed.
#[derive(Clone, Copy, Debug)]
pub(in crate::replay) struct OutOfCapacity;

impl Capacity {
    pub(in crate::replay) const fn new(capacity: usize) -> Self {
        Self {
            held: AtomicUsize::new(0),
            capacity,
        }
    }

    /// Takes `amount`, or nothing.
    pub(in crate::replay) fn take(&self, amount: usize) -> Result<(), OutOfCapacity> {
        self.held
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                held.checked_add(amount)
                    .filter(|held| *held <= self.capacity)
            })
            .map(drop)
            .map_err(|_| OutOfCapacity)
    }

    /// Takes what a disk holds already, even if the capacity was lowered since.
    #[cfg(feature = "replay-durable")]
    pub(in crate::replay) fn take_always(&self, amount: usize) {
        self.held.fetch_add(amount, Ordering::Relaxed);
    }

    pub(in crate::replay) fn give_back(&self, amount: usize) {
        self.held.fetch_sub(amount, Ordering::Relaxed);
    }
}

/// What all payments of one store share: the capacity for keys, and the latest end of a key that
/// was pruned.
#[derive(Debug)]
pub(in crate::replay) struct Keys {
    pub(in crate::replay) capacity: Capacity,
    /// One second after the latest end of a pruned key; 0 if none was pruned.
    unpruned: AtomicU64,
}

impl Keys {
    pub(in crate::replay) const fn new(capacity: usize) -> Self {
        Self {
            capacity: Capacity::new(capacity),
            unpruned: AtomicU64::new(0),
        }
    }

    /// Returns whether a key with this end may have been pruned.
    pub(in crate::replay) fn may_have_pruned(&self, retain_until: Timestamp) -> bool {
        retain_until.as_unix_seconds() < self.unpruned.load(Ordering::Relaxed)
    }

    /// Notes that a key with this end was pruned. If no pruned key had a later end, returns what
    /// the latest end was before.
    pub(in crate::replay) fn prune(&self, retain_until: Timestamp) -> Option<Option<Timestamp>> {
        let next = retain_until.as_unix_seconds().saturating_add(1);
        let before = self.unpruned.fetch_max(next, Ordering::Relaxed);
        (before < next).then(|| before.checked_sub(1).map(Timestamp::from_unix_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn no_more_than_the_capacity_can_be_taken() {
        let capacity = Capacity::new(3);
        assert!(capacity.take(4).is_err() && capacity.take(3).is_ok() && capacity.take(1).is_err());
        capacity.give_back(1);
        assert!(
            capacity.take(usize::MAX).is_err()
                && capacity.take(1).is_ok()
                && capacity.take(1).is_err()
        );
    }

    #[test]
    fn the_latest_end_of_a_pruned_key_only_rises_and_pruning_says_what_it_was_before() {
        let keys = Keys::new(1);
        assert!(!keys.may_have_pruned(at(0)));
        assert_eq!(keys.prune(at(10)), Some(None));
        assert_eq!(
            [9, 10, 11].map(|end| keys.may_have_pruned(at(end))),
            [true, true, false]
        );
        assert_eq!((keys.prune(at(10)), keys.prune(at(9))), (None, None));
        assert_eq!(keys.prune(at(12)), Some(Some(at(10))));
        assert_eq!(
            [12, 13].map(|end| keys.may_have_pruned(at(end))),
            [true, false]
        );
    }
}
