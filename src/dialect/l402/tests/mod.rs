mod before;
mod challenges;
mod client;
mod macaroons;
mod narrowed;
mod requests;
mod tokens;

use crate::dialect::list::keys_of_secret;
use std::{num::NonZeroU32, time::Duration};

use http::{HeaderMap, HeaderValue, Request, header::AUTHORIZATION};

use super::{Credential, L402, Macaroon, Scheme, mint::mint};
use crate::{
    clock::Timestamp,
    dialect::{Captures, Carrier, Dialect as _, Presented, RequestView, Route, keys::OriginKeys},
    payment::{Access, Amount, Network, PaymentHash, Preimage, Proof, Terms},
};

const ORIGIN: &str = "https://api.example.com:8443";
const END: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const SOLD: Timestamp = Timestamp::from_unix_seconds(1_799_999_700);
const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Access = Access::ForDuration(Duration::from_secs(3600));
const ONCE: Access = Access::Once;

fn uses(count: u32) -> Access {
    Access::Uses(NonZeroU32::new(count).unwrap())
}

/// A request as the server sees it, and the terms of its route.
struct Scene {
    method: &'static str,
    target: String,
    route: String,
    headers: HeaderMap,
    body_hash: Option<[u8; 32]>,
    terms: Terms,
    keys: OriginKeys,
    dialect: L402,
}

impl Scene {
    fn new(access: Access) -> Self {
        let terms = Terms::plain(access);
        Self {
            method: "GET",
            target: "/weather/oslo?units=metric".to_owned(),
            route: "/weather/{city}".to_owned(),
            headers: HeaderMap::new(),
            body_hash: None,
            terms,
            keys: keys(1, ORIGIN, 1),
            dialect: L402::default(),
        }
    }

    fn with<T>(&self, look: impl FnOnce(&RequestView<'_>) -> T) -> T {
        let (mut head, ()) = Request::builder()
            .method(self.method)
            .body(())
            .unwrap()
            .into_parts();
        head.headers = self.headers.clone();
        let Self {
            target,
            route,
            keys,
            body_hash,
            ..
        } = self;
        look(&RequestView {
            carrier: Carrier::Http(&head),
            origin: ORIGIN,
            target,
            client_target: None,
            route: Route {
                prefix: "",
                pattern: route,
            },
            captures: Captures::Known(&[]),
            keys,
            body_hash: *body_hash,
        })
    }

    fn mint(&self) -> Macaroon {
        self.with(|view| mint(view, &self.terms, AMOUNT, hash(), (SOLD, END)))
            .unwrap()
    }

    /// Returns the request with this token in it, paid.
    fn bearing(mut self, token: &Macaroon) -> Self {
        self.headers.append(AUTHORIZATION, paid(token));
        self
    }

    fn line(mut self, line: &[u8]) -> Self {
        self.headers
            .append(AUTHORIZATION, HeaderValue::from_bytes(line).unwrap());
        self
    }

    fn proof_at(&self, now: Timestamp) -> Result<Proof, &'static str> {
        self.with(
            |view| match self.dialect.credential(view, &self.terms, now) {
                Presented::Absent => Err("absent"),
                Presented::Wrong(_) => Err("wrong"),
                Presented::Refused(refusal) => Err(refusal.code()),
                Presented::Authentic(claim) => {
                    assert_eq!(claim.payment_hash(), hash());
                    claim
                        .verify(view, &self.terms, None, now)
                        .map_err(|refusal| refusal.code())
                }
            },
        )
    }

    fn proof(&self) -> Result<Proof, &'static str> {
        self.proof_at(END)
    }

    #[track_caller]
    fn refused(&self, code: &str) {
        assert_eq!(self.proof().map(|proof| proof.amount).unwrap_err(), code);
    }
}

const AMOUNT: Amount = Amount::from_msat(1_500);

fn preimage() -> Preimage {
    Preimage::from_bytes([9; 32])
}

fn hash() -> PaymentHash {
    preimage().payment_hash()
}

fn keys(secret: u8, origin: &str, store: u8) -> OriginKeys {
    keys_of_secret(&[secret; 32], Network::Regtest, (origin, ""), &[store; 16])
}

fn paid(token: &Macaroon) -> HeaderValue {
    Credential::new(token.clone(), preimage()).header_value(Scheme::L402)
}

fn caveats(token: &Macaroon) -> Vec<&str> {
    token
        .caveats()
        .map(|caveat| str::from_utf8(caveat).unwrap())
        .collect()
}
