//! A customer that pays in any dialect: a call that can be made again, its 402, and the credentials
//! that one payment gives.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use sha2::{Digest as _, Sha256};
use tower::Service;
use tower_x402::{
    ClientConditions, ClientRequest, DialectName, Invoice, Network, PaymentHash, Paywall, Preimage,
    clock::{Clock as _, Timestamp},
    l402, mpp,
    server::PaywallBuilder,
    x402,
};

use crate::shop::{ORIGIN, Shop, ask};

pub(crate) const ALL: [DialectName; 3] = [DialectName::L402, DialectName::Mpp, DialectName::X402];
pub(crate) const PAYMENT_SIGNATURE: HeaderName = HeaderName::from_static("payment-signature");

pub(crate) type HeaderLine = (HeaderName, HeaderValue);

/// A request that can be made again.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The network of the wallet that pays for it.
    pub(crate) network: Network,
}

/// A challenge that passed the checks of its dialect's client.
enum Challenge {
    L402(l402::Challenge),
    Mpp(Box<mpp::Payable>),
    X402(x402::Payable),
}

/// What one payment gives: the credential of each dialect that was offered.
#[derive(Debug)]
pub(crate) struct Bought {
    pub(crate) payment_hash: PaymentHash,
    pub(crate) preimage: Preimage,
    lines: Vec<(DialectName, HeaderLine)>,
}

impl Call {
    pub(crate) fn new(method: &'static str, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            network: Network::Regtest,
        }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn post(target: &str, body: &'static [u8]) -> Self {
        Self::new("POST", target).body(body)
    }

    /// The same call of a customer whose wallet is on another network.
    pub(crate) fn with_wallet_on(mut self, network: Network) -> Self {
        self.network = network;
        self
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

    pub(crate) fn with(&self, (name, value): &HeaderLine) -> Self {
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

    /// The request with a credential.
    pub(crate) fn paid(&self, credential: &HeaderLine) -> Request<Body> {
        self.with(credential).request()
    }

    /// The credential of one dialect for this call, from its 402 and the preimage; `None` if the
    /// dialect is not offered.
    pub(crate) fn credential(
        &self,
        shop: &Shop,
        dialect: DialectName,
        answer: &Response<Bytes>,
        preimage: &Preimage,
    ) -> Option<HeaderLine> {
        let challenges = self.challenges(shop.clock.now(), dialect, answer);
        challenges.first()?.credential(preimage)
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
        let answer = ask(service, self.request()).await;
        let preimage = shop.node.settle(payment_hash(&answer)).unwrap();
        self.credential(shop, dialect, &answer, &preimage)
            .unwrap_or_else(|| panic!("{dialect} is not offered"))
    }

    /// The challenges of one dialect, with all checks of its clients.
    fn challenges(
        &self,
        now: Timestamp,
        dialect: DialectName,
        answer: &Response<Bytes>,
    ) -> Vec<Challenge> {
        let headers = answer.headers();
        let url = format!("{ORIGIN}{}", self.target);
        let request = ClientRequest::Http {
            method: self.method,
            url: &url,
            headers: &self.headers,
            body_hash: Sha256::digest(&self.body).into(),
        };
        let conditions = ClientConditions::new(self.network, now);
        match dialect {
            DialectName::L402 => {
                let challenges = l402::Challenge::in_headers(headers);
                // A client refuses to pay if the request has the header that it needs.
                if !self.headers.contains_key(header::AUTHORIZATION) {
                    for challenge in &challenges {
                        l402::Payable::check(challenge, &request, &conditions).unwrap();
                    }
                }
                challenges.into_iter().map(Challenge::L402).collect()
            }
            DialectName::Mpp => mpp::Challenge::in_headers(headers)
                .iter()
                .map(|challenge| mpp::Payable::check(challenge, &request, &conditions).unwrap())
                .map(|payable| Challenge::Mpp(Box::new(payable)))
                .collect(),
            DialectName::X402 => x402::Challenge::in_headers(headers)
                .iter()
                .map(|challenge| x402::Payable::check(challenge, &request, &conditions).unwrap())
                .map(Challenge::X402)
                .collect(),
            other => panic!("{other} is not known here"),
        }
    }
}

impl Challenge {
    fn invoice(&self) -> Invoice {
        match self {
            Self::L402(challenge) => Invoice::parse(challenge.invoice()).unwrap(),
            Self::Mpp(payable) => payable.invoice().clone(),
            Self::X402(payable) => payable.invoice().clone(),
        }
    }

    fn credential(&self, preimage: &Preimage) -> Option<HeaderLine> {
        match self {
            Self::L402(challenge) => Some((header::AUTHORIZATION, challenge.answer(preimage))),
            Self::Mpp(payable) => payable.credential(preimage),
            Self::X402(payable) => payable.credential(preimage),
        }
    }
}

impl Bought {
    #[track_caller]
    pub(crate) fn of(&self, dialect: DialectName) -> &HeaderLine {
        let mut lines = self.lines.iter();
        let (_, line) = lines
            .find(|(name, _)| *name == dialect)
            .unwrap_or_else(|| panic!("{dialect} was not offered"));
        line
    }

    pub(crate) fn dialects(&self) -> Vec<DialectName> {
        self.lines.iter().map(|(name, _)| *name).collect()
    }
}

impl Shop {
    pub(crate) fn builder_of_every_dialect(&self) -> PaywallBuilder {
        self.builder().dialects(ALL)
    }

    pub(crate) fn paywall_of_every_dialect(&self) -> Paywall {
        self.builder_of_every_dialect().build().unwrap()
    }

    /// Settles the one invoice of a 402 and makes the credential of each dialect that it offers, as
    /// clients do: with all their checks.
    #[track_caller]
    pub(crate) fn bought(&self, call: &Call, answer: &Response<Bytes>) -> Bought {
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{answer:?}");
        let now = self.clock.now();
        let offered = ALL.map(|dialect| (dialect, call.challenges(now, dialect, answer)));
        let all = || offered.iter().flat_map(|(_, challenges)| challenges);
        let invoice = all().next().expect("a challenge").invoice();
        assert!(
            all().all(|challenge| challenge.invoice().as_str() == invoice.as_str()),
            "one invoice in every dialect"
        );
        let payment_hash = invoice.payment_hash();
        let preimage = self.node.settle(payment_hash).unwrap();
        let line = |challenge: &Challenge| challenge.credential(&preimage).unwrap();
        let lines = offered
            .iter()
            .filter_map(|(dialect, challenges)| Some((*dialect, line(challenges.first()?))))
            .collect();
        Bought {
            payment_hash,
            preimage,
            lines,
        }
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
