//! `Payment-Receipt`, in both directions ([`Payment`](super), "Payment-Receipt"; the [`lightning`
//! method](super), "Receipt").

use http::{HeaderMap, HeaderName, HeaderValue};
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
    /// The payment method: `lightning`.
    pub method: String,
    /// The payment hash, as 64 lower-case hexadecimal digits.
    pub reference: String,
    /// The outcome: `success`.
    pub status: String,
    /// When the payment was accepted, in RFC 3339.
    pub timestamp: String,
}

impl Receipt {
    /// Creates the receipt of an accepted charge. `None` if its moment is beyond the year 9999.
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

    /// Reads the receipt in a response's `Payment-Receipt` header. `None` if there is none, if there
    /// are several, or if it cannot be read.
    #[must_use]
    pub fn in_headers(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(PAYMENT_RECEIPT).into_iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return None;
        };
        Self::parse(line.as_bytes())
    }

    /// Reads a header value. `None` if it is not a receipt, or longer than 16 KiB.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        (value.len() <= MAX_TEXT).then(|| wire::decode(value))?
    }

    /// Returns the receipt as a header value.
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

    #[test]
    fn one_readable_line_is_the_receipt_and_two_are_none() {
        let receipt = Receipt {
            challenge_id: None,
            method: METHOD.into(),
            reference: "00".into(),
            status: "success".into(),
            timestamp: "2026-03-10T21:00:00Z".into(),
        };
        let mut headers = HeaderMap::new();
        assert_eq!(Receipt::in_headers(&headers), None);
        headers.insert(PAYMENT_RECEIPT, receipt.to_header_value().unwrap());
        assert_eq!(Receipt::in_headers(&headers), Some(receipt));
        let line = headers[PAYMENT_RECEIPT].clone();
        headers.append(PAYMENT_RECEIPT, line);
        assert_eq!(Receipt::in_headers(&headers), None);
        headers.insert(PAYMENT_RECEIPT, HeaderValue::from_static("e30"));
        assert_eq!(Receipt::in_headers(&headers), None);
    }
}
