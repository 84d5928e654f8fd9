//! `PAYMENT-RESPONSE`, in both directions ([x402](super), "SettlementResponse Schema").

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue};
use serde::Serialize;

use super::{
    RESPONSE, Reason,
    wire::{decode_header, encode_header},
};
use crate::{
    codec::json::{self, Json},
    payment::{Network, PaymentHash},
};

/// The result for a credential: a receipt if the payment was settled, otherwise why it was refused.
/// The specification calls it `SettlementResponse`. In this scheme it never has a `payer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt<'a> {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<Cow<'a, str>>,
    transaction: Cow<'a, str>,
    network: Cow<'a, str>,
}

impl Receipt<'static> {
    /// Reads the receipt in a response's `PAYMENT-RESPONSE` header. `None` if there is none, if
    /// there are several, or if it cannot be read.
    #[must_use]
    pub fn in_headers(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(RESPONSE).into_iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return None;
        };
        Some(Receipt::from_json(&decode_header(line.as_bytes())?)?.into_owned())
    }

    /// Creates the receipt of a settled payment. The transaction is its payment hash (`lnbtc`,
    /// "Settlement Response").
    #[must_use]
    pub fn settled(network: Network, payment_hash: PaymentHash) -> Self {
        let transaction = payment_hash.to_string().into();
        Self {
            success: true,
            error_reason: None,
            error_message: None,
            transaction,
            network: network.caip2().into(),
        }
    }
}

impl<'a> Receipt<'a> {
    /// Creates the answer to a credential that was refused.
    #[must_use]
    pub fn failed(network: impl Into<Cow<'a, str>>, reason: Reason) -> Self {
        Self {
            error_message: reason.advice().map(Cow::from),
            ..Self::refused(network, reason.code())
        }
    }

    /// Replaces the reason's own text.
    #[cfg(feature = "facilitator")]
    pub(crate) fn with_message(self, message: String) -> Self {
        Self {
            error_message: Some(message.into()),
            ..self
        }
    }

    pub(super) fn refused(network: impl Into<Cow<'a, str>>, code: &'a str) -> Self {
        let (error_reason, transaction) = (Some(code.into()), "".into());
        Self {
            success: false,
            error_reason,
            error_message: None,
            transaction,
            network: network.into(),
        }
    }

    /// Reads the object from its JSON text. For a header see
    /// [`decode_header`](super::decode_header). Unknown members are skipped. `None` if the text is
    /// not such an object or repeats a member.
    #[must_use]
    pub fn from_json(text: &'a str) -> Option<Self> {
        let mut members = json::parse(text).ok()?.into_object()?;
        let mut text = |name: &str| match members.take(name) {
            Some(Json::Text(text)) => Some(text),
            _ => None,
        };
        let (error_reason, error_message) = (text("errorReason"), text("errorMessage"));
        let (transaction, network) = (text("transaction")?, text("network")?);
        let Some(Json::Bool(success)) = members.take("success") else {
            return None;
        };
        Some(Self {
            success,
            error_reason,
            error_message,
            transaction,
            network,
        })
    }

    /// Returns whether the payment was settled.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.success
    }

    /// Returns the code that says why the payment was not settled.
    #[must_use]
    pub fn error_reason(&self) -> Option<&str> {
        self.error_reason.as_deref()
    }

    /// Returns what to do about it, if the server says so.
    #[must_use]
    pub fn error_message(&self) -> Option<&str> {
        self.error_message.as_deref()
    }

    /// Returns the payment hash, as 64 lower-case hexadecimal digits. Empty if nothing was settled.
    #[must_use]
    pub fn transaction(&self) -> &str {
        &self.transaction
    }

    /// Returns the CAIP-2 network.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    fn into_owned(self) -> Receipt<'static> {
        let text = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Receipt {
            success: self.success,
            error_reason: self.error_reason.map(text),
            error_message: self.error_message.map(text),
            transaction: text(self.transaction),
            network: text(self.network),
        }
    }

    pub(super) fn to_header(&self) -> Option<HeaderValue> {
        encode_header(serde_json::to_vec(self).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_outcomes_survive_the_round_trip() {
        let settled = Receipt::settled(Network::Bitcoin, PaymentHash::from_bytes([0xab; 32]));
        assert_eq!(settled.transaction(), "ab".repeat(32));
        let failed = Receipt::failed(Network::Testnet.caip2(), Reason::DuplicateSettlement);
        let advised = Receipt::failed(Network::Testnet.caip2(), Reason::InvoiceOlderThanStore);
        assert!(
            failed.error_message().is_none()
                && advised
                    .error_message()
                    .unwrap()
                    .contains("pay a new invoice")
        );
        for response in [settled, failed, advised] {
            let text = decode_header(response.to_header().unwrap().as_bytes()).unwrap();
            assert!(!text.contains("payer"));
            assert_eq!(Receipt::from_json(&text).unwrap(), response);
        }
        assert!(
            Receipt::from_json(r#"{"success":"true","transaction":"","network":""}"#).is_none()
        );
        assert!(
            Receipt::from_json(r#"{"success":false,"success":true,"transaction":"","network":""}"#)
                .is_none()
        );
    }

    #[test]
    fn one_readable_line_is_the_receipt_and_two_are_none() {
        let receipt = Receipt::settled(Network::Bitcoin, PaymentHash::from_bytes([0xab; 32]));
        let mut headers = HeaderMap::new();
        assert_eq!(Receipt::in_headers(&headers), None);
        headers.insert(RESPONSE, receipt.to_header().unwrap());
        assert_eq!(Receipt::in_headers(&headers), Some(receipt));
        let line = headers[RESPONSE].clone();
        headers.append(RESPONSE, line);
        assert_eq!(Receipt::in_headers(&headers), None);
        headers.insert(RESPONSE, HeaderValue::from_static("e30="));
        assert_eq!(Receipt::in_headers(&headers), None);
    }
}
