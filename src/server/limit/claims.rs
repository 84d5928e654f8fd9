//! The numbers that this process claimed, for the invoices that it makes.

use std::collections::HashMap;

use crate::{clock::Timestamp, server::address::ClientKey};

/// The claims of this process. No number is in it twice, and expired ones are removed. So it holds
/// at most about twice as many as the limit of all clients together.
#[derive(Debug, Default)]
pub(super) struct Claims {
    by_number: HashMap<u64, Claim>,
    /// When so many are held, the expired ones are removed.
    prune_at: usize,
}

/// A number that no other invoice counts under until it expires.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) client: ClientKey,
    /// The slot whose invoice counts under it.
    pub(super) slot: Option<u64>,
    /// Until then a further invoice of the client may take it, because that one expires before the
    /// claim.
    pub(super) reusable_until: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl Claims {
    /// Returns whether this process has a claim to a number.
    pub(super) fn holds(&self, number: u64, now: Timestamp) -> bool {
        let claim = self.by_number.get(&number);
        claim.is_some_and(|claim| now <= claim.expires_at)
    }

    /// Takes a number for another invoice of the same client, if its last one is paid or was never
    /// made.
    pub(super) fn take_again(
        &mut self,
        number: u64,
        client: ClientKey,
        slot: u64,
        now: Timestamp,
    ) -> bool {
        let claim = self.by_number.get_mut(&number).filter(|claim| {
            claim.client == client && claim.slot.is_none() && now <= claim.reusable_until
        });
        claim.map(|claim| claim.slot = Some(slot)).is_some()
    }

    pub(super) fn add(&mut self, number: u64, claim: Claim, now: Timestamp) {
        if self.by_number.len() >= self.prune_at {
            self.by_number.retain(|_, claim| now <= claim.expires_at);
            self.prune_at = self.by_number.len().saturating_mul(2).max(64);
        }
        self.by_number.insert(number, claim);
    }

    /// Notes that the invoice of a slot is paid, has expired, or was never made.
    pub(super) fn free(&mut self, number: u64, slot: u64) {
        let claim = self.by_number.get_mut(&number);
        if let Some(claim) = claim.filter(|claim| claim.slot == Some(slot)) {
            claim.slot = None;
        }
    }
}
