use std::{num::NonZeroUsize, sync::Arc};

use crate::clock::{Clock, SystemClock};

/// The capacity and the clock of a [`DurableStore`](super::DurableStore).
#[derive(Clone, Debug)]
#[must_use]
pub struct DurableOptions {
    pub(super) capacity: usize,
    pub(super) record_capacity: usize,
    pub(super) clock: Arc<dyn Clock>,
}

impl DurableOptions {
    /// Creates the default options: 4,000,000 keys, 64 MiB of records, the system's clock.
    pub fn new() -> Self {
        Self {
            capacity: 4_000_000,
            record_capacity: 64 << 20,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sets how many keys the store may hold. A payment for several uses counts for up to five
    /// keys, and within ten minutes for one more with each use (1,024 at most).
    pub const fn capacity(mut self, keys: NonZeroUsize) -> Self {
        self.capacity = keys.get();
        self
    }

    /// Sets how many bytes of records the store may hold.
    pub const fn record_capacity(mut self, bytes: usize) -> Self {
        self.record_capacity = bytes;
        self
    }

    /// Sets the clock, for tests. A new folder counts as made at that clock's present moment.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }
}

impl Default for DurableOptions {
    fn default() -> Self {
        Self::new()
    }
}
