use super::quote::QUOTES;
use http::{HeaderMap, HeaderValue, Request, request::Parts};
use sha2::{Digest as _, Sha256};

use super::{Challenge, Payable, REQUIRED, SIGNATURE, X402, decode_header, wire::encode_header};
use crate::{
    clock::Timestamp,
    dialect::{
        Asked, Captures, Carrier, Committed, Dialect as _, Presented, RequestView, Route,
        client::{ClientConditions, ClientRequest},
        keys::OriginKeys,
    },
    payment::{
        Access, Amount, Invoice, InvoiceDescription, InvoiceDraft, Network, Preimage, Proof,
        Refusal, Resource, SigningKey, Terms,
    },
};

/// The server's half of this dialect without a server, for benches, fuzzers and tests: one route,
/// one price, one moment. Not part of the public API.
#[derive(Debug)]
pub struct Bench {
    pub(super) keys: OriginKeys,
    pub(super) signer: SigningKey,
    pub(super) terms: Terms,
    pub(super) now: Timestamp,
}

/// A request that may carry a credential, and the hash of its body.
#[derive(Clone, Debug)]
pub struct Call {
    pub(super) head: Parts,
    pub(super) body_hash: [u8; 32],
}

const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
/// When the store of spent payments was made: long enough ago.
pub(super) const STORE: Timestamp = Timestamp::from_unix_seconds(1_600_000_000);
pub(super) const ORIGIN: &str = "https://api.example.com";
pub(super) const AMOUNT: Amount = Amount::from_sat(21);
pub(super) const PREIMAGE: Preimage = Preimage::from_bytes([7; 32]);

/// Not for production: panics if the operating system has no randomness, and on what cannot happen.
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "not for production"
)]
impl Bench {
    /// Creates a route that accepts foreign proofs too.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "made of randomness")]
    pub fn new() -> Self {
        let signer = SigningKey::random().expect("randomness");
        let keys = OriginKeys::of_secret(
            &[1; 32],
            &[QUOTES],
            Network::Bitcoin,
            (ORIGIN, ""),
            &[2; 16],
        );
        let terms = Terms {
            network: Network::Bitcoin,
            pay_to: Some(signer.public_key()),
            resource: Resource {
                description: Some("weather".into()),
                ..Resource::default()
            },
            foreign_proofs_since: Some(STORE),
            ..Terms::plain(Access::Once)
        };
        Self {
            keys,
            signer,
            terms,
            now: NOW,
        }
    }

    /// Returns the request that is sold.
    #[must_use]
    pub fn call(&self) -> Call {
        let (head, ()) = Request::get("/weather/oslo?days=3")
            .body(())
            .expect("a request")
            .into_parts();
        Call {
            head,
            body_hash: Sha256::digest([]).into(),
        }
    }

    /// Returns a fresh invoice for a request.
    #[must_use]
    pub fn invoice(&self, call: &Call) -> Invoice {
        self.invoice_for(self.committed(call).hash)
    }

    /// Returns a fresh invoice that commits to a request with this hash.
    pub(super) fn invoice_for(&self, request_hash: [u8; 32]) -> Invoice {
        let draft = InvoiceDraft {
            network: self.terms.network,
            amount: AMOUNT,
            payment_hash: PREIMAGE.payment_hash(),
            description: InvoiceDescription::Hash(request_hash),
            created_at: self.now,
            expiry: self.terms.invoice_expiry,
        };
        draft.sign(&self.signer).expect("an invoice")
    }

    /// Returns the `PAYMENT-REQUIRED` line of a request, for its invoice.
    #[must_use]
    pub fn challenge(&self, call: &Call, invoice: &Invoice) -> HeaderValue {
        let (view, committed) = (self.view(call), self.committed(call));
        let committed = Some(&committed.hash);
        let asked = Asked {
            view: &view,
            terms: &self.terms,
            amount: AMOUNT,
            invoice,
            committed,
            refused: None,
            brief: false,
        };
        X402.challenge(&asked)
            .ok()
            .and_then(|mut lines| lines.pop())
            .expect("a challenge")
            .value
    }

    /// Returns what a client sends after it paid a challenge.
    #[must_use]
    pub fn credential(&self, call: &Call, challenge: &HeaderValue) -> HeaderValue {
        let headers = HeaderMap::from_iter([(REQUIRED, challenge.clone())]);
        let challenge = Challenge::in_headers(&headers).remove(0);
        let conditions = ClientConditions::new(self.terms.network, self.now);
        let payable = call.with_request(|request| Payable::check(&challenge, request, &conditions));
        let payable = payable.expect("a good challenge");
        payable.credential(&PREIMAGE).expect("a credential").1
    }

    /// Returns the same credential without a quote, as one that another server issued.
    #[must_use]
    pub fn without_quote(&self, credential: &HeaderValue) -> HeaderValue {
        let text = decode_header(credential.as_bytes()).expect("a header");
        let mut value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        value["accepted"]["extra"]
            .as_object_mut()
            .expect("an object")
            .remove("quote");
        encode_header(value.to_string()).expect("a header")
    }

    /// Returns whether the credential of a request verifies, from the header's text to a proof.
    #[must_use]
    pub fn verify(&self, call: &Call) -> bool {
        self.prove(call).is_ok()
    }

    pub(super) fn prove(&self, call: &Call) -> Result<Proof, Option<Refusal>> {
        let view = self.view(call);
        match X402.credential(
            &RequestView {
                body_hash: None,
                ..view
            },
            &self.terms,
            self.now,
        ) {
            Presented::Authentic(claim) => {
                let price = claim.needs_price().then_some(AMOUNT);
                claim
                    .verify(&view, &self.terms, price, self.now)
                    .map_err(Some)
            }
            Presented::Refused(refusal) => Err(Some(refusal)),
            Presented::Absent | Presented::Wrong(_) => Err(None),
        }
    }

    pub(super) fn committed(&self, call: &Call) -> Committed {
        X402.description(&self.view(call), &self.terms)
            .expect("a URL that can be bound")
            .expect("a text")
    }

    pub(super) fn view<'a>(&'a self, call: &'a Call) -> RequestView<'a> {
        RequestView {
            carrier: Carrier::Http(&call.head),
            origin: ORIGIN,
            target: call.target(),
            client_target: None,
            route: Route {
                prefix: "",
                pattern: "/weather/{city}",
            },
            captures: Captures::Known(&[]),
            keys: &self.keys,
            body_hash: Some(call.body_hash),
        }
    }
}

impl Call {
    /// Returns the same request with this credential.
    #[must_use]
    pub fn with(mut self, credential: &HeaderValue) -> Self {
        self.head.headers.insert(SIGNATURE, credential.clone());
        self
    }

    /// Returns the headers.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.head.headers
    }

    /// Shows the request as its client knows it.
    pub(super) fn with_request<T>(&self, look: impl FnOnce(&ClientRequest<'_>) -> T) -> T {
        let url = [ORIGIN, self.target()].concat();
        look(&ClientRequest::Http {
            method: self.head.method.as_str(),
            url: &url,
            headers: &self.head.headers,
            body_hash: self.body_hash,
        })
    }

    fn target(&self) -> &str {
        self.head
            .uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str)
    }
}
