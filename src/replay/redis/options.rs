use std::{sync::Arc, time::Duration};

use crate::clock::{Clock, SystemClock};

/// The clock and the time limit of a [`RedisStore`](super::RedisStore).
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisOptions {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) time_limit: Duration,
}

impl RedisOptions {
    /// Creates the default options: the system's clock, and 2 seconds for each call.
    pub fn new() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            time_limit: Duration::from_secs(2),
        }
    }

    /// Sets the clock, for tests. A new store counts as made at that clock's present moment.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// Sets how long a call may take, connecting and the acknowledgements of replicas included.
    /// More than an hour counts as an hour.
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = if limit.as_secs() < LONGEST.as_secs() {
            limit
        } else {
            LONGEST
        };
        self
    }
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self::new()
    }
}

const LONGEST: Duration = Duration::from_secs(3_600);
