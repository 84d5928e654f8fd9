//! The JSON objects of phoenixd, with the fields that are read.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Info {
    pub(super) node_id: String,
    pub(super) chain: String,
    pub(super) version: String,
}

#[derive(Deserialize)]
pub(super) struct MadeInvoice {
    pub(super) serialized: String,
}

/// Without its preimage, which phoenixd gives out before the invoice is paid.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Incoming {
    pub(super) payment_hash: String,
    pub(super) is_paid: bool,
    pub(super) is_expired: bool,
}

/// The answer to `payinvoice`, whether it was paid or not.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sent {
    pub(super) payment_hash: Option<String>,
    pub(super) payment_preimage: Option<String>,
    pub(super) routing_fee_sat: Option<u64>,
    pub(super) reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outgoing {
    pub(super) payment_hash: Option<String>,
    pub(super) preimage: Option<String>,
    pub(super) is_paid: bool,
    /// In millisatoshi.
    pub(super) fees: u64,
    pub(super) completed_at: Option<u64>,
}
