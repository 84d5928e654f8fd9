//! How many unpaid invoices clients, networks and all together may hold.

use crate::server::address::Block;

/// The numbers of a [`Limiter`](super::Limiter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnpaidLimits {
    /// For one client.
    pub(crate) per_client: usize,
    /// In all.
    pub(crate) total: usize,
    /// The part of the total and of a network's share, in percent, that only clients that paid
    /// before may take.
    pub(crate) kept_percent: usize,
    /// Clients that are told apart. Beyond, new ones are counted as unknown.
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
    /// For a network of one household (56 bits: four clients' worth) or one site (48 bits: sixteen
    /// clients' worth), and never more than half of all.
    pub(crate) fn of_block(&self, block: Block) -> usize {
        self.per_client
            .saturating_mul(block.clients())
            .min((self.total / 2).max(1))
    }

    /// How much of a share is open to a client.
    pub(super) fn open(&self, share: usize, has_paid: bool) -> usize {
        let kept = share.saturating_mul(self.kept_percent.min(100)) / 100;
        if has_paid {
            share
        } else {
            share.saturating_sub(kept)
        }
    }

    /// How many clients that paid are remembered.
    pub(super) const fn payers(&self) -> usize {
        self.clients / 2
    }
}
