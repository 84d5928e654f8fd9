//! The JSON objects of LND's REST interface, with the fields that are read. Numbers of 64 bits are
//! texts.

use serde::{Deserialize, Serialize};

use crate::{codec::base64, lightning::rest::CallError, payment::PaymentHash};

#[derive(Serialize)]
pub(super) struct NewInvoice<'a> {
    pub(super) value_msat: String,
    pub(super) expiry: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memo: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description_hash: Option<String>,
    pub(super) private: bool,
}

#[derive(Deserialize)]
pub(super) struct MadeInvoice {
    pub(super) payment_request: String,
}

#[derive(Deserialize)]
pub(super) struct Invoices {
    #[serde(default)]
    pub(super) invoices: Vec<KnownInvoice>,
}

/// Without its preimage.
#[derive(Deserialize)]
pub(super) struct KnownInvoice {
    pub(super) r_hash: String,
    pub(super) state: String,
    pub(super) creation_date: String,
    pub(super) expiry: String,
    #[serde(default)]
    pub(super) settle_index: String,
    #[serde(default)]
    pub(super) settle_date: String,
}

#[derive(Serialize)]
pub(super) struct NewPayment<'a> {
    pub(super) payment_request: &'a str,
    pub(super) timeout_seconds: u64,
    pub(super) fee_limit_msat: String,
}

/// One line of a stream.
#[derive(Deserialize)]
pub(super) struct Frame<T> {
    pub(super) result: Option<T>,
    pub(super) error: Option<Fault>,
}

#[derive(Deserialize)]
pub(super) struct KnownPayment {
    pub(super) payment_hash: String,
    pub(super) status: String,
    /// 64 zeros unless the status is `SUCCEEDED`.
    #[serde(default)]
    pub(super) payment_preimage: String,
    #[serde(default)]
    pub(super) fee_msat: String,
    #[serde(default)]
    pub(super) failure_reason: String,
}

#[derive(Deserialize)]
pub(super) struct Info {
    pub(super) identity_pubkey: String,
    pub(super) chains: Vec<Chain>,
    #[serde(default)]
    pub(super) synced_to_chain: bool,
}

#[derive(Deserialize)]
pub(super) struct State {
    pub(super) state: String,
}

#[derive(Deserialize)]
pub(super) struct ChannelBalance {
    pub(super) remote_balance: Balance,
}

#[derive(Deserialize)]
pub(super) struct Balance {
    #[serde(default)]
    pub(super) msat: String,
}

#[derive(Deserialize)]
pub(super) struct Chain {
    pub(super) network: String,
}

/// An error of LND: a gRPC code and a text.
#[derive(Deserialize)]
pub(super) struct Fault {
    pub(super) code: i64,
    pub(super) message: String,
}

impl KnownInvoice {
    pub(super) fn payment_hash(&self) -> Option<PaymentHash> {
        let bytes = base64::decode_standard(&self.r_hash)?;
        bytes.try_into().ok().map(PaymentHash::from_bytes)
    }
}

/// Reads a 64-bit number, which is zero if it is left out.
pub(super) fn number(text: &str) -> Result<u64, CallError> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse()
        .map_err(|_| CallError::bad("expected a number of 64 bits as a text"))
}
