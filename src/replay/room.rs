use std::sync::atomic::{AtomicUsize, Ordering};

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
