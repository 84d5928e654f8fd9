//! When a client likely has a free slot: `Retry-After`.

use std::time::Duration;

use super::{
    pace::{USUAL, sooner},
    state::LimiterState,
};
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
        let pays = self.next_payment(client, excess, now);
        let likely = pays.or_else(|| is_new().then(|| now.saturating_add(USUAL)));
        sooner(likely, ends.nth(excess).map(|(_, end, _)| *end))
    }

    /// Returns when a client that pays likely pays for one of the slots that it holds, after
    /// `before` others.
    pub(super) fn next_payment(
        &self,
        client: ClientKey,
        before: usize,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let known = self.clients.get(&client)?;
        let wait = known.pace.wait(now).max(Duration::from_secs(1));
        let payments = u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
        let wait = wait.saturating_mul(payments);
        (known.paid.is_some() && known.held > 0).then(|| now.saturating_add(wait))
    }
}
