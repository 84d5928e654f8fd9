//! When a client likely has a free slot: `Retry-After`.

use std::time::Duration;

use super::{pace::USUAL, state::LimiterState};
use crate::{clock::Timestamp, server::address::ClientKey};

/// Until its oldest invoice is this old, a client that never paid may be about to pay.
const NEW: Duration = Duration::from_secs(10);

impl LimiterState {
    /// Returns when a client that holds too many slots, and `excess` more than that, likely has a
    /// free one. For a client that does not pay that is when enough of its invoices have expired.
    pub(super) fn likely_free(
        &self,
        client: ClientKey,
        excess: usize,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut ends = self
            .ends_by_client
            .range((client, Timestamp::default(), 0)..=(client, Timestamp::MAX, u64::MAX));
        let oldest = ends
            .clone()
            .next()
            .and_then(|(_, _, id)| self.slots.get(id));
        let is_new = || {
            oldest.is_some_and(|slot| slot.hash.is_some() && now.saturating_since(slot.since) < NEW)
        };
        let wait = match self.clients.get(&client) {
            Some(known) if known.paid.is_some() => Some(known.pace.wait(now)),
            _ => is_new().then_some(USUAL),
        };
        let likely = wait.map(|wait| now.saturating_add(wait.max(Duration::from_secs(1))));
        match ends.nth(excess).map(|(_, end, _)| *end) {
            Some(end) => Some(likely.map_or(end, |likely| likely.min(end))),
            None => likely,
        }
    }
}
