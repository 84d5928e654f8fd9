//! Memory for bodies: how many bytes all of them may take, and how many of these one payment or one client may.

use super::address::ClientKey;
use crate::{
    body::{Pool, Pools, Share},
    payment::PaymentHash,
};

/// The memory for one kind of bodies.
#[derive(Debug)]
pub(super) struct Holding {
    whole: Pool,
    by_payment: Pools<PaymentHash>,
    by_client: Pools<ClientKey>,
}

impl Holding {
    /// So many bytes: at most an eighth for the bodies of one payment and a quarter for those of one client, but always enough
    /// for one body of `body_limit` bytes.
    pub(super) fn new(bytes: usize, body_limit: usize) -> Self {
        let share = |part: usize| (bytes / part).max(body_limit);
        Self { whole: Pool::new(bytes), by_payment: Pools::new(share(8)), by_client: Pools::new(share(4)) }
    }

    /// Room for one body. Clients that cannot be told apart have no share but the whole, as in the limiter.
    pub(super) fn share(&self, client: ClientKey, payment: Option<PaymentHash>) -> Share {
        let payment = payment.map(|payment_hash| self.by_payment.of(payment_hash));
        let client = (client != ClientKey::Unknown).then(|| self.by_client.of(client));
        Share::of([payment, client, Some(self.whole.clone())])
    }
}
