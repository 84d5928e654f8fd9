//! The limits on unpaid invoices of clients, networks and all together.

use crate::server::address::Block;

/// The numbers of a [`Limiter`](super::Limiter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnpaidLimits {
    /// Unpaid invoices of one client.
    pub(crate) per_client: usize,
    /// Unpaid invoices of all clients together.
    pub(crate) total: usize,
    /// The part of the total and of a network's share, in percent, that is reserved for clients
    /// that paid before.
    pub(crate) kept_percent: usize,
    /// How many clients are counted separately. Further ones count as unknown.
    pub(crate) clients: usize,
}

impl Default for UnpaidLimits {
    fn default() -> Self {
        Self {
            per_client: 64,
            total: 10_000,
            kept_percent: 10,
            clients: 20_000,
        }
    }
}

impl UnpaidLimits {
    /// Returns the limit of one household's network (56 bits: four clients) or one site's (48 bits:
    /// sixteen clients). It is at most half of the total.
    pub(crate) fn of_block(&self, block: Block) -> usize {
        self.per_client
            .saturating_mul(block.clients())
            .min((self.total / 2).max(1))
    }

    /// Returns the limit of one client. One that paid may hold four times as many as others, while
    /// there is plenty of room.
    pub(super) const fn of_client(&self, may_hold_more: bool) -> usize {
        match may_hold_more {
            true => self.per_client.saturating_mul(4),
            false => self.per_client,
        }
    }

    /// Returns how much of a share a client may use.
    pub(super) fn open(&self, share: usize, has_paid: bool) -> usize {
        let kept = share.saturating_mul(self.kept_percent.min(100)) / 100;
        if has_paid {
            share
        } else {
            share.saturating_sub(kept)
        }
    }

    /// Returns how many clients that paid are remembered.
    pub(super) const fn payers(&self) -> usize {
        self.clients / 2
    }
}
