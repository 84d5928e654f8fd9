use std::{num::NonZeroUsize, sync::Arc};

use crate::clock::{Clock, SystemClock};

/// The capacity and the clock of a [`Ledger`](super::Ledger).
#[derive(Clone, Debug)]
#[must_use]
pub struct LedgerOptions {
    pub(super) capacity: usize,
    pub(super) clock: Arc<dyn Clock>,
}

impl LedgerOptions {
    /// Creates the default options: 200,000 entries, and the system's clock.
    pub fn new() -> Self {
        Self {
            capacity: 200_000,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sets how many entries the ledger may hold, about 1 KB each in memory and on the disk. A full
    /// ledger begins no payment.
    pub const fn capacity(mut self, entries: NonZeroUsize) -> Self {
        self.capacity = entries.get();
        self
    }

    /// Sets the clock, for tests.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self::new()
    }
}
