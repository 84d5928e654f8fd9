//! Memory for bodies: how many bytes all of them may take, and the shares of one payment, client or
//! network.

use crate::{
    body::{Pool, Pools, Share},
    payment::PaymentHash,
    server::address::{Block, ClientKey},
};

/// The memory for one kind of bodies.
///
/// A request keeps its share while it waits, for the end of its body or for the store. So these
/// shares also bound how much can wait.
#[derive(Debug)]
pub(in crate::server) struct BodyMemory {
    whole: Pool,
    by_payment: Pools<PaymentHash>,
    doubted: Pool,
    by_client: Pools<ClientKey>,
    by_household: Pools<Block>,
    by_site: Pools<Block>,
}

impl BodyMemory {
    /// Creates a pool of this many bytes. One payment gets 2/16 of it, and all doubted payments
    /// together get 2/16. One client gets 4/16, one IPv6 network of 56 bits 6/16 and one of 48 bits
    /// 8/16. Each share is at least one body of `body_limit` bytes: if that is more than 2/16, the
    /// shares protect less.
    pub(in crate::server) fn new(bytes: usize, body_limit: usize) -> Self {
        let share = |sixteenths: usize| (bytes / 16 * sixteenths).max(body_limit);
        Self {
            whole: Pool::new(bytes),
            by_payment: Pools::new(share(2)),
            doubted: Pool::new(share(2)),
            by_client: Pools::new(share(4)),
            by_household: Pools::new(share(6)),
            by_site: Pools::new(share(8)),
        }
    }

    /// Returns the share of one payment.
    pub(in crate::server) fn of_payment(&self, payment_hash: PaymentHash) -> Pool {
        self.by_payment.of(payment_hash)
    }

    /// Returns the share of all payments that the store recently reported as spent.
    pub(in crate::server) fn of_doubted(&self) -> Pool {
        self.doubted.clone()
    }

    /// Returns the shares that one body counts for. Clients without a known address have no share
    /// of their own, as in the limiter.
    pub(in crate::server) fn share(&self, client: ClientKey, of: Option<Pool>) -> Share {
        let [mut household, mut site] = [None, None];
        for block in client.blocks() {
            match block {
                Block::Bits56(_) => household = Some(self.by_household.of(block)),
                Block::Bits48(_) => site = Some(self.by_site.of(block)),
            }
        }
        let client = (client != ClientKey::Unknown).then(|| self.by_client.of(client));
        Share::of([of, client, household, site, Some(self.whole.clone())])
    }
}
