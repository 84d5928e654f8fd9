//! `Payment-Receipt`, in both directions (core draft, "Payment-Receipt"; lightning charge draft,
//! "Receipt").

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::{challenge::METHOD, wire};
use crate::payment::{Payment, PaymentReceipt};

/// The response header of a receipt.
pub const PAYMENT_RECEIPT: HeaderName = HeaderName::from_static("payment-receipt");

const MAX_TEXT: usize = 16 * 1024;

/// What a server says about a payment that it accepted. It never holds the preimage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Receipt {
    /// The id of the challenge that was paid.
    #[serde(
        default,
        rename = "challengeId",
        skip_serializing_if = "Option::is_none"
    )]
    pub challenge_id: Option<String>,
    /// `lightning`.
    pub method: String,
    /// The payment hash.
    pub reference: String,
    /// `success`.
    pub status: String,
    /// When the payment was accepted, RFC 3339.
    pub timestamp: String,
}

impl Receipt {
    /// The receipt of an accepted charge; `None` where its moment cannot be said.
    pub(super) fn of(receipt: &PaymentReceipt) -> Option<Self> {
        let Payment::Lightning(paid) = receipt.payment();
        Some(Self {
            challenge_id: receipt.note().map(str::to_owned),
            method: METHOD.to_owned(),
            reference: paid.payment_hash().to_string(),
            status: "success".to_owned(),
            timestamp: wire::rfc3339(receipt.accepted_at())?,
        })
    }

    /// Reads a header value; `None` where it is no receipt, or longer than 16 KiB.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        (value.len() <= MAX_TEXT).then(|| wire::decode(value))?
    }

    /// The receipt as a header value.
    #[must_use]
    pub fn to_header_value(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(wire::encode(self)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_canonical_and_comes_back() {
        let receipt = Receipt {
            challenge_id: Some("é\"".into()),
            method: METHOD.into(),
            reference: "00".into(),
            status: "success".into(),
            timestamp: "2026-03-10T21:00:00Z".into(),
        };
        assert_eq!(
            serde_json::to_string(&receipt).unwrap(),
            serde_jcs::to_string(&receipt).unwrap()
        );
        assert_eq!(
            Receipt::parse(receipt.to_header_value().unwrap().as_bytes()),
            Some(receipt)
        );
    }
}
