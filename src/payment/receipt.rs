use std::{fmt, sync::Arc};

use http::{Method, uri::PathAndQuery};
use serde::ser::SerializeStruct as _;

use super::{Amount, DialectName, Network, PaymentHash, Proof};
use crate::clock::Timestamp;

/// A payment that was verified and, where it is counted, spent for this request. It holds no
/// secret, and clones share it.
#[derive(Clone)]
pub struct PaymentReceipt(Arc<Inner>);

struct Inner {
    proof: Proof,
    method: Method,
    origin: Arc<str>,
    target: PathAndQuery,
    accepted_at: Timestamp,
    remaining: Option<u32>,
}

impl PaymentReceipt {
    pub(crate) fn new(
        proof: Proof,
        (method, origin, target): (Method, Arc<str>, PathAndQuery),
        accepted_at: Timestamp,
        remaining: Option<u32>,
    ) -> Self {
        Self(Arc::new(Inner {
            proof,
            method,
            origin,
            target,
            accepted_at,
            remaining,
        }))
    }

    /// Needs the feature `conformance`. A receipt that no payment stands behind, for tests of
    /// handlers: so much, paid by L402 on regtest for `GET https://api.example.com/`, used up.
    #[cfg(feature = "conformance")]
    #[must_use]
    pub fn for_tests(amount: Amount) -> Self {
        let now = Timestamp::from_unix_seconds(1_700_000_000);
        let proof = Proof {
            dialect: DialectName::L402,
            network: Network::Regtest,
            payment_hash: PaymentHash::from_bytes([0; 32]),
            amount,
            spend: super::Spend::Never,
            valid_until: now,
            note: None,
        };
        let resource = (
            Method::GET,
            Arc::from("https://api.example.com"),
            PathAndQuery::from_static("/"),
        );
        Self::new(proof, resource, now, Some(0))
    }

    /// What was paid.
    #[must_use]
    pub fn amount(&self) -> Amount {
        self.0.proof.amount
    }

    /// Which payment it was.
    #[must_use]
    pub fn payment_hash(&self) -> PaymentHash {
        self.0.proof.payment_hash
    }

    /// On which network it was paid.
    #[must_use]
    pub fn network(&self) -> Network {
        self.0.proof.network
    }

    /// The dialect of the credential that was presented.
    #[must_use]
    pub fn dialect(&self) -> DialectName {
        self.0.proof.dialect
    }

    /// What was asked for: method and URL, as `GET https://api.example.com/weather/oslo`.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("{} {}{}", self.0.method, self.0.origin, self.0.target)
    }

    /// When the credential was accepted.
    #[must_use]
    pub fn accepted_at(&self) -> Timestamp {
        self.0.accepted_at
    }

    /// How many further requests this payment buys; `None` where only time ends the access.
    #[must_use]
    pub fn remaining_uses(&self) -> Option<u32> {
        self.0.remaining
    }

    /// Until when the credential is accepted, as far as it buys anything more.
    #[must_use]
    pub fn valid_until(&self) -> Timestamp {
        self.0.proof.valid_until
    }

    pub(crate) fn note(&self) -> Option<&str> {
        self.0.proof.note.as_deref()
    }
}

/// One readable line, its times in ISO 8601.
impl fmt::Display for PaymentReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} paid by {} for {}, payment {}",
            self.amount(),
            self.dialect(),
            self.resource(),
            self.payment_hash()
        )?;
        match self.remaining_uses() {
            Some(0) => f.write_str(", used up"),
            Some(remaining) => write!(f, ", {remaining} more until {}", self.valid_until()),
            None => write!(f, ", valid until {}", self.valid_until()),
        }
    }
}

impl fmt::Debug for PaymentReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentReceipt")
            .field("amount", &self.amount())
            .field("payment_hash", &self.payment_hash())
            .field("network", &self.network())
            .field("dialect", &self.dialect())
            .field("resource", &self.resource())
            .field("accepted_at", &format_args!("{}", self.accepted_at()))
            .field("remaining_uses", &self.remaining_uses())
            .field("valid_until", &format_args!("{}", self.valid_until()))
            .finish()
    }
}

/// An object of `amount_msat`, `payment_hash`, `network`, `dialect`, `resource`, `accepted_at`,
/// `remaining_uses` and `valid_until` (times in Unix seconds).
impl serde::Serialize for PaymentReceipt {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("PaymentReceipt", 8)?;
        object.serialize_field("amount_msat", &self.amount().as_msat())?;
        object.serialize_field("payment_hash", &self.payment_hash())?;
        object.serialize_field("network", self.network().as_str())?;
        object.serialize_field("dialect", &self.dialect())?;
        object.serialize_field("resource", &self.resource())?;
        object.serialize_field("accepted_at", &self.accepted_at())?;
        object.serialize_field("remaining_uses", &self.remaining_uses())?;
        object.serialize_field("valid_until", &self.valid_until())?;
        object.end()
    }
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_prints_its_times_in_iso_8601_and_serialises_them_in_seconds() {
        let receipt = PaymentReceipt::for_tests(Amount::from_sat(10));
        let (mut proof, resource) = (
            receipt.0.proof.clone(),
            (
                Method::GET,
                Arc::from("https://a"),
                PathAndQuery::from_static("/"),
            ),
        );
        proof.valid_until = Timestamp::from_unix_seconds(1_790_000_000);
        let receipt = PaymentReceipt::new(
            proof,
            resource,
            Timestamp::from_unix_seconds(1_700_000_000),
            Some(2),
        );
        assert!(
            receipt
                .to_string()
                .ends_with(", 2 more until 2026-09-21T14:13:20Z"),
            "{receipt}"
        );
        let debug = format!("{receipt:?}");
        assert!(
            debug.contains("accepted_at: 2023-11-14T22:13:20Z")
                && debug.contains("valid_until: 2026-09-21T14:13:20Z"),
            "{debug}"
        );
        assert_eq!(
            serde_json::to_value(&receipt).unwrap()["valid_until"],
            1_790_000_000
        );
    }
}
