//! How fast a client pays.

use std::time::Duration;

use crate::clock::Timestamp;

/// How long a client needs to pay, if that is not known.
pub(super) const USUAL: Duration = Duration::from_secs(5);

const LONGEST: Duration = Duration::from_secs(60);

/// How fast a client lately paid.
#[derive(Debug, Default)]
pub(super) struct PayingPace {
    /// When it last got a slot.
    asked: Timestamp,
    /// How long it lately held a slot before it paid. Each payment counts for half of this.
    took: Option<Duration>,
}

impl PayingPace {
    /// Notes that the client got a slot.
    pub(super) fn asked(&mut self, now: Timestamp) {
        self.asked = now;
    }

    /// Notes how long the client held a slot before it paid.
    pub(super) fn paid(&mut self, took: Duration) {
        let before = self.took.unwrap_or(took).as_secs();
        let sum = took.as_secs().saturating_add(before);
        self.took = Some(Duration::from_secs(sum.div_ceil(2)));
    }

    /// Returns how long a client that pays likely holds its latest slot from now on. If it already
    /// takes longer than lately, it likely takes as long again.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        let since = now.saturating_since(self.asked);
        let rest = self.took.unwrap_or(USUAL).checked_sub(since);
        rest.unwrap_or(since).min(LONGEST)
    }
}

/// Returns the earlier of two moments, as far as they are known.
pub(super) fn sooner(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
