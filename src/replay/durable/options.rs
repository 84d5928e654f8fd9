use std::{num::NonZeroUsize, sync::Arc};

use crate::clock::{Clock, SystemClock};

/// How a [`DurableStore`](super::DurableStore) is opened.
#[derive(Clone, Debug)]
#[must_use]
pub struct DurableOptions {
    pub(super) capacity: usize,
    pub(super) record_capacity: usize,
    pub(super) clock: Arc<dyn Clock>,
}

impl DurableOptions {
    /// Capacity for 4,000,000 keys and 64 MiB of records, and the system's clock.
    pub fn new() -> Self {
        Self {
            capacity: 4_000_000,
            record_capacity: 64 << 20,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Capacity for so many keys. A payment for several uses counts for up to five keys, and within ten
    /// minutes for one more with each use (1,024 at most).
    pub const fn capacity(mut self, keys: NonZeroUsize) -> Self {
        self.capacity = keys.get();
        self
    }

    /// Capacity for so many bytes of records.
    pub const fn record_capacity(mut self, bytes: usize) -> Self {
        self.record_capacity = bytes;
        self
    }

    /// Another clock, for tests. A folder that is new exists since that clock's present moment.
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
