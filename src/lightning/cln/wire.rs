//! The parameters of calls, and the answers as far as this adapter reads them.

use serde::{Deserialize, Serialize};

use super::fault::{NAME, bad};
use crate::{
    lightning::{InvoiceStatus, NodeError, PaymentStatus, exact},
    payment::{Amount, PaymentHash},
};

#[derive(Serialize)]
pub(super) struct Nothing {}

#[derive(Serialize)]
pub(super) struct NewInvoice<'a> {
    pub(super) amount_msat: u64,
    pub(super) label: String,
    pub(super) description: &'a str,
    pub(super) expiry: u64,
    pub(super) deschashonly: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exposeprivatechannels: Option<bool>,
}

#[derive(Serialize)]
pub(super) struct After {
    pub(super) lastpay_index: u64,
    pub(super) timeout: u64,
}

#[derive(Serialize)]
pub(super) struct Xpay {
    pub(super) invstring: String,
    pub(super) maxfee: u64,
    pub(super) retry_for: u32,
}

#[derive(Serialize)]
pub(super) struct OfPayment {
    payment_hash: String,
}

impl From<PaymentHash> for OfPayment {
    fn from(payment_hash: PaymentHash) -> Self {
        Self {
            payment_hash: payment_hash.to_string(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Info {
    pub(super) id: String,
    pub(super) network: String,
    pub(super) version: String,
    warning_bitcoind_sync: Option<String>,
    warning_lightningd_sync: Option<String>,
}

impl Info {
    /// Returns what the node is still waiting for.
    pub(super) fn syncing(self) -> Option<String> {
        self.warning_bitcoind_sync.or(self.warning_lightningd_sync)
    }
}

#[derive(Deserialize)]
pub(super) struct Made {
    pub(super) bolt11: String,
    pub(super) payment_hash: String,
    warning_capacity: Option<String>,
    warning_offline: Option<String>,
    warning_private_unused: Option<String>,
}

impl Made {
    /// Returns why nobody can pay this invoice, and what to do.
    pub(super) fn unpayable(&self) -> Option<&'static str> {
        if self.warning_capacity.is_some() {
            return Some(
                "its channels have too little inbound liquidity: open a channel to it, or spend from one",
            );
        }
        if self.warning_offline.is_some() {
            return Some(
                "the peers of the channels that could receive it are offline: wait for them",
            );
        }
        self.warning_private_unused.as_ref()?;
        Some(
            "only private channels could receive it: connect with private_channels (private_channels=true in a URL)",
        )
    }
}

#[derive(Deserialize)]
pub(super) struct Invoices {
    invoices: Vec<ListedInvoice>,
}

#[derive(Deserialize)]
struct ListedInvoice {
    payment_hash: String,
    status: String,
}

impl Invoices {
    /// Returns the status of the only invoice that was asked for.
    pub(super) fn status(&self, payment_hash: PaymentHash) -> Result<InvoiceStatus, NodeError> {
        match self.invoices.as_slice() {
            [] => Ok(InvoiceStatus::Unknown),
            [one] if PaymentHash::from_hex(&one.payment_hash) != Some(payment_hash) => {
                Err(bad("expected the invoice that was asked for"))
            }
            [one] => match one.status.as_str() {
                "unpaid" => Ok(InvoiceStatus::Open),
                "paid" => Ok(InvoiceStatus::Settled),
                "expired" => Ok(InvoiceStatus::Expired),
                _ => Err(bad("expected an invoice that is unpaid, paid or expired")),
            },
            _ => Err(bad("expected one invoice with this payment hash")),
        }
    }
}

/// A settled invoice.
#[derive(Deserialize)]
pub(super) struct Settled {
    pub(super) payment_hash: String,
    pub(super) pay_index: u64,
}

#[derive(Deserialize)]
pub(super) struct Sent {
    payment_preimage: String,
    amount_msat: Msat,
    amount_sent_msat: Msat,
}

impl Sent {
    pub(super) fn status(self, payment_hash: PaymentHash) -> Result<PaymentStatus, NodeError> {
        let fee = fee(self.amount_sent_msat, Some(self.amount_msat));
        exact::paid(NAME, payment_hash, Some(&self.payment_preimage), fee)
    }
}

#[derive(Deserialize)]
pub(super) struct Pays {
    pays: Vec<Pay>,
}

#[derive(Deserialize)]
struct Pay {
    payment_hash: String,
    status: String,
    preimage: Option<String>,
    amount_msat: Option<Msat>,
    amount_sent_msat: Option<Msat>,
}

impl Pays {
    /// Returns the status of a payment from all attempts to make it. One that succeeded counts more
    /// than one under way, and that more than one that failed.
    pub(super) fn status(&self, payment_hash: PaymentHash) -> Result<PaymentStatus, NodeError> {
        let mut status = PaymentStatus::Unknown;
        for pay in &self.pays {
            if PaymentHash::from_hex(&pay.payment_hash) != Some(payment_hash) {
                return Err(bad("expected the payment that was asked for").maybe_paid());
            }
            match pay.status.as_str() {
                "complete" => {
                    let fee = fee(pay.amount_sent_msat.unwrap_or_default(), pay.amount_msat);
                    return exact::paid(NAME, payment_hash, pay.preimage.as_deref(), fee);
                }
                "pending" => status = PaymentStatus::InFlight,
                "failed" if matches!(status, PaymentStatus::Unknown) => {
                    status = PaymentStatus::Failed;
                }
                "failed" => {}
                _ => {
                    return Err(
                        bad("expected a payment that is pending, complete or failed").maybe_paid(),
                    );
                }
            }
        }
        Ok(status)
    }
}

fn fee(sent: Msat, arrived: Option<Msat>) -> Amount {
    let arrived = arrived.unwrap_or(sent);
    Amount::from_msat(sent.0.saturating_sub(arrived.0))
}

/// An amount: a number, or in older versions a text such as `1000msat`.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(try_from = "Written")]
struct Msat(u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl TryFrom<Written> for Msat {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Number(msat) => Some(msat),
            Written::Text(text) => text
                .strip_suffix("msat")
                .and_then(|number| number.parse().ok()),
        }
        .map(Self)
        .ok_or("expected an amount in millisatoshi")
    }
}
