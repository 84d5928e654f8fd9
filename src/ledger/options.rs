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
    /// Creates the default options: 500,000 entries, and the system's clock.
    pub fn new() -> Self {
        Self {
            capacity: 500_000,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sets how many entries the ledger may hold. One that has ended takes about 1 KB in memory and
    /// on the disk, and at most 8 KB with the longest texts. Until then it also holds invoice and
    /// challenge: 1 to 4 KB as a rule, and at most 72 KiB.
    ///
    /// A full ledger forgets the oldest failed payments. If none is left, it begins no payment.
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
