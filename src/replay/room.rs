use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::clock::Timestamp;

/// How much may be held, and how much is: shared by the parts of one store.
#[derive(Debug)]
pub(super) struct Room {
    held: AtomicUsize,
    capacity: usize,
}

/// There was no room.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoRoom;

impl Room {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { held: AtomicUsize::new(0), capacity }
    }

    pub(super) fn take(&self, amount: usize) -> Result<(), NoRoom> {
        self.held
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                held.checked_add(amount).filter(|held| *held <= self.capacity)
            })
            .map(drop)
            .map_err(|_| NoRoom)
    }

    /// Takes what a disk holds already, even where the capacity has been lowered since.
    #[cfg(feature = "replay-durable")]
    pub(super) fn take_always(&self, amount: usize) {
        self.held.fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self, amount: usize) {
        self.held.fetch_sub(amount, Ordering::Relaxed);
    }
}

/// What the books of one store have in common: room for keys, and how far they have forgotten.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) room: Room,
    /// The first moment that was not pruned.
    unpruned: AtomicU64,
}

impl Keys {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { room: Room::new(capacity), unpruned: AtomicU64::new(0) }
    }

    /// Whether a key with this end may have been forgotten.
    pub(super) fn may_have_pruned(&self, retain_until: Timestamp) -> bool {
        retain_until.as_unix_seconds() < self.unpruned.load(Ordering::Relaxed)
    }

    /// Notes that a key with this end was forgotten; the mark before, where this one is greater.
    pub(super) fn prune(&self, retain_until: Timestamp) -> Option<Option<Timestamp>> {
        let next = retain_until.as_unix_seconds().saturating_add(1);
        let before = self.unpruned.fetch_max(next, Ordering::Relaxed);
        (before < next).then(|| before.checked_sub(1).map(Timestamp::from_unix_seconds))
    }
}
