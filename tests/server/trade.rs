//! Buying in any dialect: a request that can be made again, its 402, and the credentials that one
//! payment gives.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use sha2::{Digest as _, Sha256};
use tower_x402::{
    ClientConditions, ClientRequest, DialectName, Invoice, Network, PaymentHash, Paywall, Preimage,
    clock::Clock as _, l402, mpp, server::PaywallBuilder, x402,
};

use crate::shop::{ORIGIN, Shop};

pub(crate) const EVERY: [DialectName; 3] = [DialectName::L402, DialectName::Mpp, DialectName::X402];
pub(crate) const PAYMENT_SIGNATURE: HeaderName = HeaderName::from_static("payment-signature");

impl Shop {
    pub(crate) fn builder_of_every_dialect(&self) -> PaywallBuilder {
        self.builder().dialects(EVERY)
    }

    pub(crate) fn speaking_every_dialect(&self) -> Paywall {
        self.builder_of_every_dialect().build().unwrap()
    }
}

/// A request that can be made again.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(method: &'static str, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn header(mut self, name: impl TryInto<HeaderName>, value: &str) -> Self {
        let name = name.try_into().unwrap_or_else(|_| panic!("a header name"));
        self.headers.append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn with(&self, (name, value): &(HeaderName, HeaderValue)) -> Self {
        let mut call = self.clone();
        call.headers.append(name, value.clone());
        call
    }

    pub(crate) fn request(&self) -> Request<Body> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(&self.target)
            .body(Body::from(self.body.clone()))
            .unwrap();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// What one payment gives: the header line of each dialect that was offered.
#[derive(Debug)]
pub(crate) struct Bought {
    pub(crate) payment_hash: PaymentHash,
    pub(crate) preimage: Preimage,
    lines: Vec<(DialectName, (HeaderName, HeaderValue))>,
}

impl Bought {
    #[track_caller]
    pub(crate) fn of(&self, dialect: DialectName) -> &(HeaderName, HeaderValue) {
        &self
            .lines
            .iter()
            .find(|(name, _)| *name == dialect)
            .unwrap_or_else(|| panic!("{dialect} was not offered"))
            .1
    }

    pub(crate) fn dialects(&self) -> Vec<DialectName> {
        self.lines.iter().map(|(name, _)| *name).collect()
    }
}

impl Shop {
    /// Settles the one invoice of a 402 and makes the credential of each dialect that it offers, as
    /// clients do: with all their checks.
    #[track_caller]
    pub(crate) fn bought(&self, call: &Call, answer: &Response<Bytes>) -> Bought {
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{answer:?}");
        let url = format!("{ORIGIN}{}", call.target);
        let request = ClientRequest::Http {
            method: call.method,
            url: &url,
            headers: &call.headers,
            body_hash: Sha256::digest(&call.body).into(),
        };
        let conditions = ClientConditions::new(Network::Regtest, self.clock.now());
        let mut invoices = Vec::new();
        let l402 = l402::Challenge::in_headers(answer.headers());
        invoices.extend(
            l402.iter()
                .map(|challenge| Invoice::parse(challenge.invoice()).unwrap()),
        );
        let payable: Vec<_> = mpp::Challenge::in_headers(answer.headers())
            .iter()
            .map(|challenge| mpp::Payable::check(challenge, &request, &conditions).unwrap())
            .collect();
        invoices.extend(payable.iter().map(|payable| payable.invoice().clone()));
        let checked: Vec<_> = x402::Challenge::in_headers(answer.headers())
            .iter()
            .map(|challenge| x402::Payable::check(challenge, &request, &conditions).unwrap())
            .collect();
        invoices.extend(checked.iter().map(|checked| checked.invoice().clone()));

        let payment_hash = invoices.first().expect("a challenge").payment_hash();
        assert!(
            invoices
                .iter()
                .all(|invoice| invoice.as_str() == invoices[0].as_str()),
            "one invoice in every dialect"
        );
        let preimage = self.node.settle(payment_hash).unwrap();
        let mut lines = Vec::new();
        lines.extend(l402.first().map(|challenge| {
            (
                DialectName::L402,
                (header::AUTHORIZATION, challenge.answer(&preimage)),
            )
        }));
        lines.extend(
            payable
                .first()
                .map(|payable| (DialectName::Mpp, payable.credential(&preimage).unwrap())),
        );
        lines.extend(
            checked
                .first()
                .map(|checked| (DialectName::X402, checked.credential(&preimage).unwrap())),
        );
        Bought {
            payment_hash,
            preimage,
            lines,
        }
    }
}
