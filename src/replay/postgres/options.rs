use std::{sync::Arc, time::Duration};

use crate::clock::{Clock, SystemClock};

/// The time limit and the clock of a [`PostgresStore`](super::PostgresStore).
#[derive(Clone, Debug)]
#[must_use]
pub struct PostgresOptions {
    pub(super) time_limit: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

impl PostgresOptions {
    /// Creates the default options: 5 s, the system's clock.
    pub fn new() -> Self {
        Self {
            time_limit: Duration::from_secs(5),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sets how long one call may take in all, the wait for a connection included. More than a day
    /// counts as a day.
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets the clock, for tests. A new store counts as made at that clock's present moment.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self::new()
    }
}
