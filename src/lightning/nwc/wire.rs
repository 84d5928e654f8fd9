//! The parameters of requests, and the answers as far as this adapter reads them.

use serde::{Deserialize, Serialize};

use super::fault::{NAME, bad};
use crate::{
    clock::Timestamp,
    lightning::{InvoiceStatus, NodeError, PaymentStatus, exact},
    payment::{Amount, PaymentHash, SKEW},
};

#[derive(Serialize)]
pub(super) struct Request<'a, P> {
    pub(super) method: &'a str,
    pub(super) params: P,
}

#[derive(Deserialize)]
pub(super) struct Response<T> {
    pub(super) result_type: String,
    pub(super) error: Option<Refusal>,
    pub(super) result: Option<T>,
}

#[derive(Deserialize)]
pub(super) struct Refusal {
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Serialize)]
pub(super) struct Nothing {}

#[derive(Serialize)]
pub(super) struct MakeInvoice {
    pub(super) amount: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description_hash: Option<String>,
    pub(super) expiry: u64,
}

/// The answer to `make_invoice`. Some wallets put the preimage into it, which is never read.
#[derive(Deserialize)]
pub(super) struct Made {
    pub(super) invoice: String,
    pub(super) payment_hash: Option<String>,
}

#[derive(Serialize)]
pub(super) struct LookupInvoice {
    payment_hash: String,
}

impl From<PaymentHash> for LookupInvoice {
    fn from(payment_hash: PaymentHash) -> Self {
        Self {
            payment_hash: payment_hash.to_string(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct PayInvoice {
    pub(super) invoice: String,
}

#[derive(Deserialize)]
pub(super) struct Paid {
    preimage: Option<String>,
    fees_paid: Option<u64>,
}

impl Paid {
    pub(super) fn status(&self, payment_hash: PaymentHash) -> Result<PaymentStatus, NodeError> {
        let fee = Amount::from_msat(self.fees_paid.unwrap_or_default());
        exact::paid(NAME, payment_hash, self.preimage.as_deref(), fee)
    }
}

#[derive(Deserialize)]
pub(super) struct Info {
    pub(super) network: Option<String>,
    #[serde(default)]
    pub(super) methods: Vec<String>,
    pub(super) notifications: Option<Vec<String>>,
}

#[derive(Serialize)]
pub(super) struct ListTransactions<'a> {
    pub(super) from: u64,
    pub(super) limit: u64,
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
}

#[derive(Deserialize)]
pub(super) struct Transactions {
    pub(super) transactions: Vec<Transaction>,
}

#[derive(Deserialize)]
pub(super) struct Notification {
    pub(super) notification_type: String,
    pub(super) notification: Transaction,
}

/// An invoice or a payment of the wallet.
#[derive(Deserialize)]
pub(super) struct Transaction {
    #[serde(rename = "type")]
    kind: Option<String>,
    state: Option<String>,
    payment_hash: String,
    pub(super) preimage: Option<String>,
    fees_paid: Option<u64>,
    expires_at: Option<u64>,
    settled_at: Option<u64>,
}

/// What became of a transaction.
enum Outcome {
    Failed,
    Pending,
    Settled,
}

impl Transaction {
    pub(super) fn payment_hash(&self) -> Option<PaymentHash> {
        PaymentHash::from_hex(&self.payment_hash)
    }

    /// Returns whether this is an invoice that was paid at `since` or later. Clocks may differ by
    /// [`SKEW`].
    pub(super) fn is_settled_since(&self, since: Timestamp) -> bool {
        let at = self.settled_at.map_or(since, Timestamp::from_unix_seconds);
        matches!(self.outcome(), Ok(Outcome::Settled))
            && !self.is(OUTGOING)
            && since <= at.saturating_add(SKEW)
    }

    /// Returns whether the transaction of a notification that money was received says so too. Older
    /// wallets leave out its type and its state.
    pub(super) fn was_received(&self) -> bool {
        !self.is(OUTGOING) && matches!(self.state.as_deref(), None | Some("" | "settled"))
    }

    fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// Older wallets have no `state`. A preimage says nothing: some wallets give it out before the
    /// payment.
    fn outcome(&self) -> Result<Outcome, NodeError> {
        match self.state.as_deref() {
            Some("settled") => Ok(Outcome::Settled),
            Some("failed" | "expired") => Ok(Outcome::Failed),
            Some("pending" | "accepted") => Ok(Outcome::Pending),
            Some("") | None if self.settled_at.is_some_and(|at| at > 0) => Ok(Outcome::Settled),
            Some("") | None => Ok(Outcome::Pending),
            Some(_) => Err(bad(
                "expected a state that is pending, settled, accepted, expired or failed",
            )),
        }
    }

    fn check(&self, payment_hash: PaymentHash) -> Result<(), NodeError> {
        if self.payment_hash() == Some(payment_hash) {
            Ok(())
        } else {
            Err(bad("expected the transaction that was asked for"))
        }
    }

    /// Returns the status of an invoice of this wallet.
    pub(super) fn as_invoice(
        &self,
        payment_hash: PaymentHash,
        now: Timestamp,
    ) -> Result<InvoiceStatus, NodeError> {
        self.check(payment_hash)?;
        if self.is(OUTGOING) {
            return Ok(InvoiceStatus::Unknown);
        }
        let expired = self
            .expires_at
            .is_some_and(|at| at > 0 && at <= now.as_unix_seconds());
        Ok(match self.outcome()? {
            Outcome::Settled => InvoiceStatus::Settled,
            Outcome::Pending if !expired => InvoiceStatus::Open,
            Outcome::Pending | Outcome::Failed => InvoiceStatus::Expired,
        })
    }

    /// Returns the status of a payment from this wallet. What arrived in it is none.
    pub(super) fn as_payment(&self, payment_hash: PaymentHash) -> Result<PaymentStatus, NodeError> {
        self.check(payment_hash)?;
        if self.is(INCOMING) {
            return Ok(PaymentStatus::Unknown);
        }
        match self.outcome()? {
            Outcome::Failed => Ok(PaymentStatus::Failed),
            Outcome::Pending => Ok(PaymentStatus::InFlight),
            Outcome::Settled => {
                let fee = Amount::from_msat(self.fees_paid.unwrap_or_default());
                exact::paid(NAME, payment_hash, self.preimage.as_deref(), fee)
            }
        }
    }
}

pub(super) const INCOMING: &str = "incoming";
const OUTGOING: &str = "outgoing";
