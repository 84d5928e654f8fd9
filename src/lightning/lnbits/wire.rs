//! The JSON objects of LNbits, with the fields that are read.

use serde::{Deserialize, Serialize};

use crate::{lightning::rest::CallError, payment::PaymentHash};

#[derive(Deserialize)]
pub(super) struct Wallet {
    /// Only an admin key gets this.
    pub(super) id: Option<String>,
}

#[derive(Serialize)]
pub(super) struct NewInvoice<'a> {
    pub(super) out: bool,
    pub(super) unit: &'static str,
    pub(super) amount: u64,
    pub(super) expiry: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memo: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unhashed_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description_hash: Option<String>,
}

/// Without its preimage, which LNbits gives out before the invoice is paid.
#[derive(Deserialize)]
pub(super) struct MadeInvoice {
    pub(super) bolt11: Option<String>,
    /// The same, in older versions.
    pub(super) payment_request: Option<String>,
}

#[derive(Serialize)]
pub(super) struct NewPayment<'a> {
    pub(super) out: bool,
    pub(super) bolt11: &'a str,
}

/// A payment of the wallet: in or out.
#[derive(Deserialize)]
pub(super) struct Payment {
    pub(super) payment_hash: String,
    /// In millisatoshi; less than zero if it went out.
    pub(super) amount: i64,
    #[serde(default)]
    pub(super) fee: i64,
    pub(super) status: String,
    #[serde(default)]
    pub(super) bolt11: String,
    #[serde(default)]
    pub(super) updated_at: String,
}

/// The answer to a question for a payment.
#[derive(Deserialize)]
pub(super) struct Found {
    /// Only a key of the wallet that made or received the payment gets this.
    pub(super) details: Option<Payment>,
    pub(super) preimage: Option<String>,
}

/// The answer to a payment that was sent.
#[derive(Deserialize)]
pub(super) struct Sent {
    #[serde(flatten)]
    pub(super) payment: Payment,
    pub(super) preimage: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Fault {
    pub(super) detail: Detail,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Detail {
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl Payment {
    /// Checks that this is the payment that was asked for.
    pub(super) fn is(&self, payment_hash: PaymentHash) -> Result<(), CallError> {
        match PaymentHash::from_hex(&self.payment_hash) == Some(payment_hash) {
            true => Ok(()),
            false => Err(CallError::bad("expected the payment that was asked for")),
        }
    }
}
