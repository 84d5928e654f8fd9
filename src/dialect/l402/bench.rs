//! What the benches measure, through the server's own code.

use super::identifier::{COUNTED, TIMED};
use std::time::Duration;

use http::{HeaderMap, Request, header::AUTHORIZATION, request::Parts};

use super::{
    L402,
    caveat::{encoded, encodes},
    credential::Credential,
    identifier::{Identifier, key},
    macaroon::{GENERATOR, Macaroon},
    mint::mint,
    scheme::Scheme,
};
use crate::{
    clock::Timestamp,
    codec::{auth_param, base64, hex},
    dialect::{
        Captures, Carrier, Dialect as _, MacKey, Presented, RequestView, Route, keys::OriginKeys,
    },
    payment::{Access, Amount, Network, Preimage, Terms},
};

/// A paid token as the server mints it, in the request that it was bought for.
#[derive(Debug)]
pub struct Bench {
    dialect: L402,
    head: Parts,
    keys: OriginKeys,
    terms: Terms,
    credential: Credential,
    /// Token and preimage as they stand in the header.
    text: (String, String),
    /// The target as it stands in the token.
    place: String,
}

impl Bench {
    /// Creates a token for one request.
    #[must_use]
    pub fn once() -> Self {
        Self::of(Access::Once)
    }

    /// Creates a token for an hour.
    #[must_use]
    pub fn for_duration() -> Self {
        Self::of(Access::ForDuration(Duration::from_secs(3600)))
    }

    fn of(access: Access) -> Self {
        let terms = Terms::plain(access);
        let (mut head, ()) = Request::get(TARGET)
            .body(())
            .unwrap_or_else(|_| unreachable!("a constant target"))
            .into_parts();
        let keys = OriginKeys::of_secret(
            &[7; 32],
            &[COUNTED, TIMED],
            Network::Regtest,
            (ORIGIN, ""),
            &[1; 16],
        );
        let preimage = Preimage::from_bytes([9; 32]);
        let macaroon = mint(
            &view(&head, &keys),
            &terms,
            Amount::from_sat(10),
            preimage.payment_hash(),
            (NOW, NOW),
        )
        .unwrap_or_else(|_| unreachable!("a short target"));
        let text = (
            base64::encode_standard(macaroon.to_bytes()),
            preimage.expose_hex(),
        );
        let credential = Credential::new(macaroon, preimage);
        head.headers =
            HeaderMap::from_iter([(AUTHORIZATION, credential.header_value(Scheme::L402))]);
        Self {
            dialect: L402::default(),
            head,
            keys,
            terms,
            credential,
            text,
            place: encoded("", TARGET),
        }
    }

    /// Returns whether the header's text verifies, through the server's own code.
    #[must_use]
    pub fn verify(&self) -> bool {
        let view = view(&self.head, &self.keys);
        match self.dialect.credential(&view, &self.terms, NOW) {
            Presented::Authentic(claim) => claim.verify(&view, &self.terms, None, NOW).is_ok(),
            _ => false,
        }
    }

    /// Runs only the primitives of that verification, on the same inputs: the header's look-up, the
    /// search for a comma, base64, hex, percent-encoding, the hashes, the comparison.
    #[must_use]
    pub fn primitives(&self) -> bool {
        let Some(line) = self.head.headers.get(AUTHORIZATION) else {
            return false;
        };
        let is_folded = auth_param::may_be_folded(line.as_bytes());
        let is_here =
            encodes(b"GET", self.head.method.as_str()) & encodes(self.place.as_bytes(), TARGET);
        let Some(bytes) = base64::decode_any(&self.text.0) else {
            return false;
        };
        let Some(preimage) = hex::decode_any_case(&self.text.1) else {
            return false;
        };
        let macaroon = self.credential.macaroon();
        let Some(identifier) = Identifier::parse(macaroon.identifier()) else {
            return false;
        };
        let Some((key, _)) = key(identifier.token_id(), &self.keys) else {
            return false;
        };
        let first = GENERATOR
            .derive(&key.mac(identifier.token_id()))
            .mac(macaroon.identifier());
        let signature = macaroon.caveats().fold(first, |signature, caveat| {
            MacKey::mac_once(&signature, caveat)
        });
        constant_time_eq::constant_time_eq(&signature, &bytes[bytes.len() - 32..])
            & identifier
                .payment_hash()
                .is_of(&Preimage::from_bytes(preimage))
            & is_here
            & !is_folded
    }

    /// Returns the token's text in base64.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.text.0
    }

    /// Returns the token.
    #[must_use]
    pub const fn macaroon(&self) -> &Macaroon {
        self.credential.macaroon()
    }

    /// Returns the token's own root key.
    #[must_use]
    pub fn root_key(&self) -> Option<[u8; 32]> {
        let identifier = Identifier::parse(self.macaroon().identifier())?;
        Some(
            key(identifier.token_id(), &self.keys)?
                .0
                .mac(identifier.token_id()),
        )
    }

    /// Returns the head of the request, with the credential in it.
    #[must_use]
    pub const fn head(&self) -> &Parts {
        &self.head
    }
}

fn view<'a>(head: &'a Parts, keys: &'a OriginKeys) -> RequestView<'a> {
    RequestView {
        carrier: Carrier::Http(head),
        origin: ORIGIN,
        target: TARGET,
        client_target: None,
        route: Route {
            prefix: "",
            pattern: ROUTE,
        },
        captures: Captures::Known(&[]),
        keys,
        body_hash: None,
    }
}

const ORIGIN: &str = "https://api.example.com";
const TARGET: &str = "/v1/weather/oslo?units=metric";
const ROUTE: &str = "/v1/weather/{city}";
const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
