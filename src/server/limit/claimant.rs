//! Who claims a number, and which invoice counts under it.

use super::{limits::UnpaidLimits, state::LimiterState};
use crate::server::address::ClientKey;

/// Who claims a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claimant {
    pub(super) client: ClientKey,
    pub(super) has_paid: bool,
    /// How many unpaid invoices it may hold.
    pub(super) most: usize,
}

impl LimiterState {
    pub(super) fn claimant(&self, slot: u64, limits: &UnpaidLimits) -> Option<Claimant> {
        let held = self.slots.get(&slot)?;
        let known = self.clients.get(&held.client);
        let has_paid = known.is_some_and(|known| known.paid.is_some());
        Some(Claimant {
            client: held.asker,
            has_paid,
            most: limits.of_client(has_paid && self.has_plenty(held.asker, limits)),
        })
    }

    /// Counts the invoice of a slot under a number that was claimed.
    pub(super) fn bind(&mut self, slot: u64, number: u64) {
        match self.slots.get_mut(&slot) {
            Some(held) => held.number = Some(number),
            None => self.claims.free(number, slot),
        }
    }
}
