use std::{fmt, sync::Arc};

use http::{Extensions, Method, uri::PathAndQuery};
use serde::ser::SerializeStruct as _;

use super::{
    Amount, DialectName, LightningPayment, Network, Payment, PaymentHash, Proof, ResolvedClient,
};
use crate::clock::Timestamp;

/// The receipt of a verified payment. If its uses are counted, one use was spent for this request.
///
/// It holds no secret. Clones share one allocation.
#[derive(Clone)]
pub struct PaymentReceipt(Arc<ReceiptData>);

struct ReceiptData {
    payment: Payment,
    dialect: DialectName,
    method: Method,
    origin: Arc<str>,
    target: PathAndQuery,
    client: ResolvedClient,
    accepted_at: Timestamp,
    remaining: Option<u32>,
    valid_until: Timestamp,
    note: Option<Arc<str>>,
}

impl PaymentReceipt {
    pub(crate) fn new(
        proof: Proof,
        (method, origin, target): (Method, Arc<str>, PathAndQuery),
        client: ResolvedClient,
        accepted_at: Timestamp,
        remaining: Option<u32>,
    ) -> Self {
        let payment = Payment::Lightning(LightningPayment {
            amount: proof.amount,
            network: proof.network,
            payment_hash: proof.payment_hash,
        });
        Self(Arc::new(ReceiptData {
            payment,
            dialect: proof.dialect,
            method,
            origin,
            target,
            client,
            accepted_at,
            remaining,
            valid_until: proof.valid_until,
            note: proof.note,
        }))
    }

    /// Creates a receipt without any payment, for tests of handlers. Needs the feature
    /// `conformance`.
    ///
    /// It says that an unknown client paid `amount` over L402 on regtest for
    /// `GET https://api.example.com/`, and that no uses remain.
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
        Self::new(proof, resource, ResolvedClient::UNKNOWN, now, Some(0))
    }

    /// Returns what was paid. It prints as the amount with its unit.
    #[must_use]
    pub fn payment(&self) -> &Payment {
        &self.0.payment
    }

    /// Returns the amount that was paid, or `None` if the payment was not made over Lightning.
    #[must_use]
    pub fn amount(&self) -> Option<Amount> {
        self.0.payment.as_lightning().map(LightningPayment::amount)
    }

    /// Returns the hash that identifies the payment, or `None` if it was not made over Lightning.
    #[must_use]
    pub fn payment_hash(&self) -> Option<PaymentHash> {
        let payment = self.0.payment.as_lightning();
        payment.map(LightningPayment::payment_hash)
    }

    /// Returns the Bitcoin network on which it was paid, or `None` if it was not paid over
    /// Lightning.
    #[must_use]
    pub fn network(&self) -> Option<Network> {
        self.0.payment.as_lightning().map(LightningPayment::network)
    }

    /// Returns the client that presented the payment, as the layer resolved its address.
    #[must_use]
    pub fn client(&self) -> ResolvedClient {
        self.0.client
    }

    /// Returns the dialect of the credential that was presented.
    #[must_use]
    pub fn dialect(&self) -> DialectName {
        self.0.dialect
    }

    /// Returns the method and URL of the request, for example
    /// `GET https://api.example.com/weather/oslo`.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("{} {}{}", self.0.method, self.0.origin, self.0.target)
    }

    /// The same without the query, for the log.
    pub(crate) fn resource_without_query(&self) -> impl fmt::Display {
        let (method, origin, path) = (&self.0.method, &self.0.origin, self.0.target.path());
        fmt::from_fn(move |f| write!(f, "{method} {origin}{path}"))
    }

    /// Returns when the credential was accepted.
    #[must_use]
    pub fn accepted_at(&self) -> Timestamp {
        self.0.accepted_at
    }

    /// Returns how many more requests this payment buys, or `None` if its uses are not counted and
    /// the access ends at [`valid_until`](Self::valid_until).
    #[must_use]
    pub fn remaining_uses(&self) -> Option<u32> {
        self.0.remaining
    }

    /// Returns until when the credential is accepted, if it has uses left. On a charge that
    /// `Charge::ends_streams` applies to, answers end then.
    #[must_use]
    pub fn valid_until(&self) -> Timestamp {
        self.0.valid_until
    }

    pub(crate) fn note(&self) -> Option<&str> {
        self.0.note.as_deref()
    }
}

impl ResolvedClient {
    /// Returns the client of a request that a rule prices, from the extensions of the request in
    /// the handler. The client comes from the receipt if the request was paid, and otherwise from
    /// what the layer stored there.
    ///
    /// `None` if no rule prices the request, or no layer of this crate saw it.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Option<Self> {
        match extensions.get::<PaymentReceipt>() {
            Some(receipt) => Some(receipt.client()),
            None => extensions.get().copied(),
        }
    }
}

/// Prints one line, with times in ISO 8601.
impl fmt::Display for PaymentReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payment = self.payment();
        write!(
            f,
            "{payment} paid by {} for {}",
            self.dialect(),
            self.resource()
        )?;
        match payment {
            Payment::Lightning(paid) => write!(f, ", payment {}", paid.payment_hash())?,
        }
        write!(f, ", client {}", self.client())?;
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
            .field("payment", self.payment())
            .field("dialect", &self.dialect())
            .field("resource", &self.resource())
            .field("client", &format_args!("{}", self.client()))
            .field("accepted_at", &format_args!("{}", self.accepted_at()))
            .field("remaining_uses", &self.remaining_uses())
            .field("valid_until", &format_args!("{}", self.valid_until()))
            .finish()
    }
}

/// Serialises an object of `amount_msat`, `payment_hash`, `network`, `dialect`, `resource`, `client`,
/// `accepted_at`, `remaining_uses` and `valid_until`. Times are in Unix seconds. The first three are
/// null if the payment was not made over Lightning, and `client` is null if its address is unknown.
impl serde::Serialize for PaymentReceipt {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("PaymentReceipt", 9)?;
        object.serialize_field("amount_msat", &self.amount().map(Amount::as_msat))?;
        object.serialize_field("payment_hash", &self.payment_hash())?;
        object.serialize_field("network", &self.network().map(Network::as_str))?;
        object.serialize_field("dialect", &self.dialect())?;
        object.serialize_field("resource", &self.resource())?;
        object.serialize_field("client", &self.client())?;
        object.serialize_field("accepted_at", &self.accepted_at())?;
        object.serialize_field("remaining_uses", &self.remaining_uses())?;
        object.serialize_field("valid_until", &self.valid_until())?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::Spend;

    fn receipt(client: ResolvedClient) -> PaymentReceipt {
        let proof = Proof {
            dialect: DialectName::L402,
            network: Network::Regtest,
            payment_hash: PaymentHash::from_bytes([0xab; 32]),
            amount: Amount::from_sat(10),
            spend: Spend::Never,
            valid_until: Timestamp::from_unix_seconds(1_790_000_000),
            note: None,
        };
        let resource = (
            Method::GET,
            Arc::from("https://a"),
            PathAndQuery::from_static("/b?key=c"),
        );
        let now = Timestamp::from_unix_seconds(1_700_000_000);
        PaymentReceipt::new(proof, resource, client, now, Some(2))
    }

    #[test]
    fn a_receipt_prints_its_times_in_iso_8601_and_serialises_them_in_seconds() {
        let receipt = receipt(ResolvedClient::UNKNOWN);
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

    #[test]
    fn a_receipt_tells_which_client_paid_in_every_form() {
        for (client, text, json) in [
            (ResolvedClient::UNKNOWN, "unknown", serde_json::Value::Null),
            (
                ResolvedClient::new("2001:db8::1".parse().unwrap()),
                "2001:db8::1",
                "2001:db8::1".into(),
            ),
        ] {
            let receipt = receipt(client);
            assert_eq!(receipt.client(), client);
            let hash = "ab".repeat(32);
            assert_eq!(
                receipt.to_string(),
                format!(
                    "10 sat paid by l402 for GET https://a/b?key=c, payment {hash}, client {text}, \
                     2 more until 2026-09-21T14:13:20Z"
                )
            );
            let debug = format!("{receipt:?}");
            assert!(debug.contains(&format!("client: {text}")), "{debug}");
            assert_eq!(serde_json::to_value(&receipt).unwrap()["client"], json);
        }
    }

    #[test]
    fn the_short_accessors_and_the_serialised_form_are_those_of_the_lightning_payment() {
        let receipt = receipt(ResolvedClient::UNKNOWN);
        let paid = receipt.payment().as_lightning().unwrap();
        assert_eq!(receipt.amount(), Some(paid.amount()));
        assert_eq!(receipt.network(), Some(paid.network()));
        assert_eq!(receipt.payment_hash(), Some(paid.payment_hash()));
        assert_eq!(receipt.payment().to_string(), "10 sat");
        assert_eq!(
            serde_json::to_value(&receipt).unwrap(),
            serde_json::json!({
                "amount_msat": 10_000,
                "payment_hash": "ab".repeat(32),
                "network": "regtest",
                "dialect": "l402",
                "resource": "GET https://a/b?key=c",
                "client": null,
                "accepted_at": 1_700_000_000,
                "remaining_uses": 2,
                "valid_until": 1_790_000_000,
            })
        );
    }

    #[test]
    fn the_resource_for_the_log_leaves_out_the_query() {
        let shown = receipt(ResolvedClient::UNKNOWN)
            .resource_without_query()
            .to_string();
        assert_eq!(shown, "GET https://a/b");
    }
}
