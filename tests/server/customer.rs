//! A customer who knows what it wants, and pays in any of the three dialects.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use sha2::{Digest as _, Sha256};
use tower::Service;
use tower_x402::{
    ClientConditions, ClientRequest, DialectName, Invoice, Network, PaymentHash, Preimage, l402,
    mpp, x402,
};

use crate::shop::{ORIGIN, Shop, ask};

pub(crate) const ALL: [DialectName; 3] = [DialectName::L402, DialectName::Mpp, DialectName::X402];

pub(crate) type HeaderLine = (HeaderName, HeaderValue);

/// One request that can be made again and again.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: &'static [u8],
}

impl Errand {
    pub(crate) fn get(target: &str) -> Self {
        Self {
            method: "GET",
            target: target.to_owned(),
            headers: HeaderMap::new(),
            body: b"",
        }
    }

    pub(crate) fn post(target: &str, body: &'static [u8]) -> Self {
        Self {
            method: "POST",
            body,
            ..Self::get(target)
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn unpaid(&self) -> Request<Body> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(&self.target)
            .body(Body::from(self.body))
            .unwrap();
        *request.headers_mut() = self.headers.clone();
        request
    }

    pub(crate) fn with(&self, (name, value): &HeaderLine) -> Request<Body> {
        let mut request = self.unpaid();
        request.headers_mut().append(name, value.clone());
        request
    }

    /// The credential for this errand, from its 402 and the preimage; `None` where the dialect is
    /// not offered.
    pub(crate) fn credential(
        &self,
        shop: &Shop,
        dialect: DialectName,
        answer: &Response<Bytes>,
        preimage: &Preimage,
    ) -> Option<HeaderLine> {
        use tower_x402::clock::Clock as _;

        let headers = answer.headers();
        let url = format!("{ORIGIN}{}", self.target);
        let request = ClientRequest::Http {
            method: self.method,
            url: &url,
            headers: &self.headers,
            body_hash: Sha256::digest(self.body).into(),
        };
        // A staging server's customers have a wallet of its network.
        let offered = l402::Challenge::in_headers(headers);
        let invoice = offered
            .first()
            .map(|challenge| Invoice::parse(challenge.invoice()).unwrap());
        let network = invoice.map_or(Network::Regtest, |invoice| invoice.network());
        let conditions = ClientConditions::new(network, shop.clock.now());
        match dialect {
            DialectName::L402 => {
                let challenge = l402::Challenge::in_headers(headers).into_iter().next()?;
                Some((header::AUTHORIZATION, challenge.answer(preimage)))
            }
            DialectName::Mpp => {
                let challenge = mpp::Challenge::in_headers(headers).into_iter().next()?;
                mpp::Payable::check(&challenge, &request, &conditions)
                    .unwrap()
                    .credential(preimage)
            }
            DialectName::X402 => {
                let challenge = x402::Challenge::in_headers(headers).into_iter().next()?;
                x402::Payable::check(&challenge, &request, &conditions)
                    .unwrap()
                    .credential(preimage)
            }
            other => panic!("{other} is not known here"),
        }
    }

    /// Asks, pays, and makes the credential of one dialect.
    pub(crate) async fn buy<S, R>(
        &self,
        shop: &Shop,
        service: &S,
        dialect: DialectName,
    ) -> HeaderLine
    where
        S: Service<Request<Body>, Response = Response<R>, Error = Infallible> + Clone,
        R: http_body::Body<Data = Bytes>,
        R::Error: std::fmt::Debug,
    {
        let answer = ask(service, self.unpaid()).await;
        let preimage = shop.node.settle(payment_hash(&answer)).unwrap();
        self.credential(shop, dialect, &answer, &preimage)
            .unwrap_or_else(|| panic!("{dialect} is not offered"))
    }
}

/// The one invoice that every dialect of a 402 offers.
#[track_caller]
pub(crate) fn invoice(answer: &Response<Bytes>) -> Invoice {
    assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{answer:?}");
    let challenge = l402::Challenge::in_headers(answer.headers())
        .into_iter()
        .next()
        .expect("L402 is offered");
    Invoice::parse(challenge.invoice()).unwrap()
}

#[track_caller]
pub(crate) fn payment_hash(answer: &Response<Bytes>) -> PaymentHash {
    invoice(answer).payment_hash()
}

/// Whether an answer asks for money in any dialect.
pub(crate) fn asks_for_money<T>(answer: &Response<T>) -> bool {
    ["www-authenticate", "payment-required"]
        .iter()
        .any(|name| answer.headers().contains_key(*name))
}
