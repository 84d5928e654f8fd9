//! A paywall over the local node, and its payer.

use http::{HeaderMap, HeaderValue};
use tower_x402::{Invoice, MemoryStore, Paywall, Secrets, l402::Challenge, lightning::LocalNode};

pub struct Shop {
    pub paywall: Paywall,
    node: LocalNode,
}

impl Shop {
    pub fn new(origin: &str) -> Self {
        let node = LocalNode::new();
        let builder = Paywall::builder(node.clone())
            .origin(origin)
            .master_secret(Secrets::test_secret(7));
        let store = MemoryStore::new().expect("randomness");
        let paywall = builder
            .replay_store(store)
            .max_unpaid(1 << 24)
            .build()
            .expect("a good configuration");
        Self { paywall, node }
    }

    /// Pays the L402 challenge in the headers of a 402.
    pub fn pay(&self, headers: &HeaderMap) -> HeaderValue {
        let challenge = Challenge::in_headers(headers)
            .into_iter()
            .next()
            .expect("a challenge");
        let invoice = Invoice::parse(challenge.invoice()).expect("an invoice");
        challenge.answer(
            &self
                .node
                .settle(invoice.payment_hash())
                .expect("an invoice of this node"),
        )
    }
}
