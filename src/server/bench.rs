//! What benches measure of the server, through its own code.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use sha2::{Digest as _, Sha256};

use super::{
    address::ClientKey,
    config::{Charge, Paywall},
    origin,
    request::{
        issue,
        pending::{PricedRequest, RequestPlace},
    },
    routes::{
        priced::{PricedRoutes, Pricing},
        rule::Rule,
    },
};
use crate::{
    dialect::{self, secrets::Secrets},
    lightning::{Description, InvoiceRequest, LocalNode, Receiver as _},
    payment::{Amount, Invoice, ResolvedClient},
    replay::MemoryStore,
};

/// A request without a credential, and its checked invoice.
#[derive(Debug)]
pub struct Bench {
    asked: PricedRequest,
    invoice: Invoice,
    committed: [u8; 32],
}

const AMOUNT: Amount = Amount::from_sat(10);

impl Bench {
    /// Creates one. Not for production: panics if the operating system has no randomness.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        clippy::new_without_default,
        reason = "not for production"
    )]
    pub fn new() -> Self {
        let node = LocalNode::new();
        let store = MemoryStore::new().expect("randomness");
        let builder = Paywall::builder(node.clone())
            .origin("https://api.example.com")
            .challenge_header_bytes(1 << 16)
            .master_secret(Secrets::test_secret(7));
        let paywall = builder
            .replay_store(store)
            .build()
            .expect("a good configuration");
        let charge = Charge::new(AMOUNT)
            .description("the weather of one city")
            .mime_type("application/json");
        let rule = Arc::new(
            Rule::new(paywall.setup(), charge, Some("/v1/weather/{city}")).expect("a good charge"),
        );
        let routes = Arc::new(PricedRoutes {
            paywall,
            pricing: Pricing::Every(rule.clone()),
        });

        let request = Request::get("/v1/weather/oslo?units=metric")
            .body(())
            .expect("a request");
        let (head, ()) = request.into_parts();
        let target = origin::raw_target(&head).expect("a target");
        let place = RequestPlace {
            origin: 0,
            target,
            client_target: None,
            client: ClientKey::Unknown,
            address: ResolvedClient::UNKNOWN,
        };
        let current = (
            routes.paywall.setup().clock.now(),
            routes.paywall.setup().keys.current(),
        );
        let mut asked = PricedRequest::new((routes.clone(), rule), head, place, current, None);
        asked.body_hash = Some(Sha256::digest([]).into());

        let terms = &asked.rule.terms;
        let committed = issue::offered(asked.setup(), &asked.view(), terms, AMOUNT).committed;
        let committed = committed.expect("x402 commits to the request");
        let description = Description::Hashed(committed.text.into_bytes());
        let making = node.create_invoice(InvoiceRequest::new(
            AMOUNT,
            description,
            terms.invoice_expiry,
        ));
        let invoice = within_one_poll(making).expect("an invoice");
        Self {
            asked,
            invoice,
            committed: committed.hash,
        }
    }

    /// Writes the 402 for an invoice that is already decoded and checked. Computing what the
    /// invoice commits to is not part of this.
    #[must_use]
    pub fn challenge(&self) -> Response<Bytes> {
        let (setup, terms, view) = (
            self.asked.setup(),
            &self.asked.rule.terms,
            self.asked.view(),
        );
        let offered: Vec<_> = setup.dialects.iter().map(|dialect| &**dialect).collect();
        let (invoice, committed) = (&self.invoice, Some(&self.committed));
        let asked = dialect::Asked {
            view: &view,
            terms,
            amount: AMOUNT,
            invoice,
            committed,
            refused: None,
            brief: false,
        };
        issue::answer(setup, &offered, &asked, None, None)
    }
}

/// The local node answers at once.
#[expect(clippy::panic, reason = "not for production")]
fn within_one_poll<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("the local node waits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invoice_must_commit_to_what_was_asked() {
        let bench = Bench::new();
        let (terms, invoice) = (&bench.asked.rule.terms, &bench.invoice);
        let request = InvoiceRequest::new(
            AMOUNT,
            Description::Hashed(Vec::new()),
            terms.invoice_expiry,
        );
        let checked =
            |committed| issue::check(invoice, &request, committed, terms, invoice.created_at());
        assert_eq!(checked(Some(&bench.committed)), Ok(()));
        assert!(
            checked(Some(&[0; 32]))
                .unwrap_err()
                .starts_with("another description")
        );
    }
}
