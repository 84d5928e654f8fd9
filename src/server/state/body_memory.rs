//! Memory for bodies: how many bytes all of them may take, and how many of these one payment,
//! client or network may.

use crate::{
    body::{Pool, Pools, Share},
    payment::PaymentHash,
    server::address::{Block, ClientKey},
};

/// The memory for one kind of bodies.
///
/// A request that waits, for its body's end or in line for the store, keeps what it holds. So what
/// can wait is bounded by these shares too.
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
    /// So many bytes: at most two sixteenths for the bodies of one payment, as for those of all
    /// doubted payments together; four for one client, six for one IPv6 network of 56 bits and
    /// eight for one of 48 bits. But always enough for one body of `body_limit` bytes: if that is
    /// more than two sixteenths, the shares protect less.
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

    /// What a body of this payment takes of.
    pub(in crate::server) fn of_payment(&self, payment_hash: PaymentHash) -> Pool {
        self.by_payment.of(payment_hash)
    }

    /// What all bodies together take of whose payments the store called spent lately.
    pub(in crate::server) fn of_doubted(&self) -> Pool {
        self.doubted.clone()
    }

    /// Room for one body. Clients that cannot be told apart have no share but the whole, as in the
    /// limiter.
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
