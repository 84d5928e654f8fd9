//! Payments.

use std::{sync::Arc, time::Duration};

use super::{
    fault::{Fault, NAME, refused},
    paid::{Attempts, Begin, FailedBefore, State},
    wallet::Wallet,
    wire::{Paid, PayInvoice},
};
use crate::{
    clock::{Clock as _, SystemClock},
    lightning::{NodeError, PayLimits, PaymentStatus, detached},
    payment::{Invoice, PaymentHash},
    trace,
};

/// How long to listen for the answer to a payment. After that only lookups show the outcome.
const LISTEN: Duration = Duration::from_secs(600);

/// The shortest time in which the wallet must receive a request, because clocks differ.
const RECEIVE: Duration = Duration::from_secs(10);

/// The error codes after which no money has left.
const NOT_PAID: [&str; 6] = [
    "INSUFFICIENT_BALANCE",
    "NOT_IMPLEMENTED",
    "QUOTA_EXCEEDED",
    "RATE_LIMITED",
    "RESTRICTED",
    "UNAUTHORIZED",
];

/// Pays an invoice, unless it was paid or may have been. After the time limit the payment goes on
/// without the caller.
pub(super) async fn pay(
    wallet: &Arc<Wallet>,
    attempts: &Arc<Attempts>,
    invoice: &Invoice,
    limits: PayLimits,
) -> Result<PaymentStatus, NodeError> {
    let unclear = match attempts.begin(invoice) {
        Begin::Yours { unclear } => unclear,
        Begin::Already(status) => return Ok(status),
        Begin::Full => {
            return Err(refused("too many remembered payments: try again later"));
        }
    };
    let payment = Payment {
        wallet: Arc::clone(wallet),
        invoice: invoice.clone(),
        unclear,
        time: limits.time,
    };
    let (attempts, payment_hash) = (Arc::clone(attempts), invoice.payment_hash());
    let paying = async move {
        let (state, outcome) = payment.make().await;
        attempts.set(payment_hash, state);
        outcome
    };
    detached::pay(NAME, limits.time, paying).await
}

/// Returns the status of a payment. One that may have been made is in flight until the wallet makes it
/// clear, or its invoice expired long ago.
pub(super) async fn status(
    wallet: &Wallet,
    attempts: &Attempts,
    payment_hash: PaymentHash,
) -> Result<PaymentStatus, NodeError> {
    let known = attempts.get(payment_hash);
    if let Some(State::Paid { preimage, fee }) = known {
        return Ok(PaymentStatus::Paid { preimage, fee });
    }
    let found = found(wallet, payment_hash).await;
    let found = found.map_err(NodeError::maybe_paid)?;
    Ok(match known {
        Some(State::Underway) if !is_sure(&found, true) => PaymentStatus::InFlight,
        Some(State::Unclear { failed_before }) if !is_sure(&found, failed_before) => {
            PaymentStatus::InFlight
        }
        _ => found,
    })
}

/// Returns whether what the wallet says settles a payment that was asked for. It may not have heard
/// of the request yet, and a failure may be an earlier one.
const fn is_sure(found: &PaymentStatus, failed_before: bool) -> bool {
    match found {
        PaymentStatus::Unknown => false,
        PaymentStatus::Failed => !failed_before,
        _ => true,
    }
}

/// Returns what the wallet says about a payment.
async fn found(wallet: &Wallet, payment_hash: PaymentHash) -> Result<PaymentStatus, NodeError> {
    match wallet.lookup(payment_hash).await? {
        Some(found) => found.as_payment(payment_hash),
        None => Ok(PaymentStatus::Unknown),
    }
}

struct Payment {
    wallet: Arc<Wallet>,
    invoice: Invoice,
    unclear: Option<FailedBefore>,
    time: Duration,
}

type Outcome = (State, Result<PaymentStatus, NodeError>);

impl Payment {
    async fn make(&self) -> Outcome {
        let live = SystemClock::new().now() < self.invoice.expires_at();
        let found = found(&self.wallet, self.invoice.payment_hash()).await;
        match (found, self.unclear) {
            (Ok(found), Some(failed_before)) if !is_sure(&found, failed_before) => (
                State::Unclear { failed_before },
                Ok(PaymentStatus::InFlight),
            ),
            // Older wallets do not say if this failed, so it is not even asked for.
            (Ok(PaymentStatus::Failed | PaymentStatus::Unknown), _) if !live => {
                let why = "expected an invoice that has not expired: request a new one";
                (State::Over, Err(refused(why)))
            }
            (Ok(PaymentStatus::Failed), _) => self.send(true).await,
            (Ok(PaymentStatus::Unknown), _) => self.send(false).await,
            (Ok(status), _) => (state(&status), Ok(status)),
            (Err(error), Some(failed_before)) => {
                (State::Unclear { failed_before }, Err(error.maybe_paid()))
            }
            // An earlier process may have paid.
            (Err(error), None) => (State::Over, Err(error.maybe_paid())),
        }
    }

    async fn send(&self, failed_before: FailedBefore) -> Outcome {
        let params = PayInvoice {
            invoice: self.invoice.as_str().to_owned(),
        };
        let expiry = self.time.max(RECEIVE);
        let wait = expiry.saturating_add(LISTEN);
        let asked = self.wallet.ask("pay_invoice", params, expiry, wait);
        let sent: Result<Paid, Fault> = asked.await;
        let unclear = State::Unclear { failed_before };
        match sent {
            Ok(paid) => match paid.status(self.invoice.payment_hash()) {
                Ok(status) => (state(&status), Ok(status)),
                Err(error) => (unclear, Err(error)),
            },
            Err(fault @ Fault::Unsent(_)) => (State::Over, Err(fault.into())),
            Err(Fault::Refused { code, message }) => {
                self.refused(code, message, failed_before).await
            }
            Err(fault) => (unclear, Err(NodeError::from(fault).maybe_paid())),
        }
    }

    /// Finds out what an error means. It may also say that the invoice was paid before.
    /// NIP-47 says that a failure may be due to a timeout. So only a lookup is trusted.
    async fn refused(&self, code: String, message: String, failed_before: FailedBefore) -> Outcome {
        let definite = NOT_PAID.contains(&code.as_str());
        let failed = code == "PAYMENT_FAILED";
        let error = NodeError::from(Fault::Refused { code, message });
        if definite {
            return (State::Over, Err(error));
        }
        let unclear = State::Unclear { failed_before };
        match found(&self.wallet, self.invoice.payment_hash()).await {
            Ok(found) if !is_sure(&found, failed_before && !failed) => {
                (unclear, Err(error.maybe_paid()))
            }
            Ok(PaymentStatus::Failed) => {
                trace::warn(format_args!("a payment failed: {error}"));
                (State::Over, Ok(PaymentStatus::Failed))
            }
            Ok(status) => (state(&status), Ok(status)),
            Err(error) => (unclear, Err(error.maybe_paid())),
        }
    }
}

fn state(status: &PaymentStatus) -> State {
    match status {
        PaymentStatus::Paid { preimage, fee } => State::Paid {
            preimage: preimage.clone(),
            fee: *fee,
        },
        _ => State::Unclear {
            failed_before: false,
        },
    }
}
