//! What became of a payment: what the payer says, checked and written down.

use std::time::Duration;

use super::{Wallet, hand::Hand};
use crate::{
    ledger::{Entry, LedgerError},
    lightning::{NodeError, NodeErrorKind, PayLimits, PaymentStatus},
    payment::{Amount, Invoice, PaymentHash, Preimage},
    trace,
};

/// How long the payer may take to look a payment up.
pub(super) const LOOKUP_TIME: Duration = Duration::from_secs(30);

/// How much longer than the payer's own time limit a call of it may take.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// A payment that the payer does not know counts as failed so long after its invoice expired.
const AFTER_EXPIRY: Duration = Duration::from_secs(60);

/// What became of a payment.
#[derive(Debug)]
pub(super) enum Outcome {
    /// No money left. The text says why.
    Failed(String),
    InFlight,
    /// It was paid, with this proof.
    Paid(Preimage, Amount),
    /// The payer does not know it.
    Unknown,
    /// The payer says that it was paid, and cannot prove it.
    Unproved(&'static str),
}

/// What the payer says became of a payment.
pub(super) struct Resolved {
    pub(super) outcome: Outcome,
    pub(super) is_reached: bool,
}

const FALSE_PREIMAGE: &str = "the payer reported a preimage that is not the invoice's";
const NO_WAY: &str =
    "the node found no way to pay within the limits, or the payee refused: its log says why";
pub(super) const NO_PREIMAGE: &str = "the payer's report of the payment cannot be used";

impl Outcome {
    fn of(status: PaymentStatus, hash: PaymentHash) -> Self {
        match status {
            PaymentStatus::Paid { preimage, fee } if hash.is_of(&preimage) => {
                Self::Paid(preimage, fee)
            }
            PaymentStatus::Paid { .. } => Self::Unproved(FALSE_PREIMAGE),
            PaymentStatus::Failed => Self::Failed(NO_WAY.to_owned()),
            PaymentStatus::InFlight => Self::InFlight,
            PaymentStatus::Unknown => Self::Unknown,
        }
    }
}

impl Outcome {
    /// Returns its name, for the log.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::InFlight | Self::Unknown => "in flight",
            Self::Paid(..) => "paid",
            Self::Unproved(_) => "unproved",
        }
    }
}

impl Wallet {
    /// Pays an invoice within limits. If the call has no clear outcome, the payer is asked once
    /// more what became of it.
    pub(super) async fn pay(&self, invoice: &Invoice, limits: PayLimits) -> Outcome {
        let hash = invoice.payment_hash();
        let paying = self.payer().pay(invoice, limits);
        let fault = match tokio::time::timeout(limits.time + GRACE, paying).await {
            // It cannot be unknown to a payer that was just asked to pay it.
            Ok(Ok(PaymentStatus::Unknown)) | Err(_) => None,
            Ok(Ok(status)) => return Outcome::of(status, hash),
            Ok(Err(error)) if !error.may_have_paid() => return Outcome::Failed(error.to_string()),
            Ok(Err(error)) => Some(error),
        };
        match (self.look_up(hash).await, fault) {
            (Ok(Outcome::Unknown), _) => Outcome::InFlight,
            (Ok(outcome), _) => outcome,
            (Err(again), Some(fault)) if is_bad_answer(&again) && is_bad_answer(&fault) => {
                Outcome::Unproved(NO_PREIMAGE)
            }
            (Err(_), _) => Outcome::InFlight,
        }
    }

    /// Asks the payer about a payment.
    pub(super) async fn look_up(&self, hash: PaymentHash) -> Result<Outcome, NodeError> {
        let looking = self.payer().lookup_payment(hash);
        match tokio::time::timeout(LOOKUP_TIME, looking).await {
            Ok(status) => status.map(|status| Outcome::of(status, hash)),
            Err(late) => Err(NodeError::new(
                NodeErrorKind::Unreachable,
                "the payer",
                late,
            )),
        }
    }

    /// Asks the payer what became of a payment that was sent earlier, and writes it down.
    pub(super) async fn resolve(
        &self,
        hand: &Hand,
        entry: &Entry,
    ) -> Result<Resolved, LedgerError> {
        if !self.was_asked_for(entry) {
            return self.leave(hand, entry).await;
        }
        let found = self.look_up(entry.payment_hash()).await;
        let is_reached = is_reached(&found);
        let outcome = found.unwrap_or(Outcome::InFlight);
        let is_over = self.now() >= entry.invoice_expires_at().saturating_add(AFTER_EXPIRY);
        let outcome = match outcome {
            Outcome::Unknown if is_over => Outcome::Failed(
                "the payer does not know the payment, and its invoice has expired".to_owned(),
            ),
            Outcome::Unknown => Outcome::InFlight,
            outcome => outcome,
        };
        if let Outcome::Paid(preimage, fee) = &outcome {
            // Nobody presents it now. If this is not written, the next call asks the payer again.
            hand.paid(preimage, *fee).await?;
        } else {
            write(hand, &outcome).await?;
        }
        Ok(Resolved {
            outcome,
            is_reached,
        })
    }
}

/// Writes down what became of a payment.
pub(super) async fn write(hand: &Hand, outcome: &Outcome) -> Result<(), LedgerError> {
    match outcome {
        Outcome::Failed(why) => hand.failed(why).await,
        Outcome::InFlight | Outcome::Unknown => hand.in_flight().await,
        Outcome::Paid(preimage, fee) => {
            let written = hand.paid_and_presented(preimage, *fee).await;
            if let Err(error) = &written {
                trace::error(format_args!("a payment is not in the ledger: {error}"));
            }
            // It is paid all the same, and its credential is worth the money.
            Ok(())
        }
        Outcome::Unproved(why) => hand.unproved(why).await,
    }
}

/// Returns whether the payer was reached.
pub(super) fn is_reached(found: &Result<Outcome, NodeError>) -> bool {
    let is_unreachable = |error: &NodeError| error.kind() == NodeErrorKind::Unreachable;
    !found.as_ref().is_err_and(is_unreachable)
}

fn is_bad_answer(error: &NodeError) -> bool {
    error.kind() == NodeErrorKind::BadAnswer
}
