use std::time::Duration;

use super::{
    Lnbits, NAME,
    node::{explain, find},
    wire::{NewPayment, Payment, Sent},
};
use crate::{
    lightning::{
        BoxFuture, NodeError, NodeErrorKind, PayLimits, Payer, PayerProfile, PaymentStatus, exact,
        outcome::Unpaid,
        payable,
        rest::{Ask, CallError, GRACE},
    },
    payment::{Amount, Invoice, PayerId, PaymentHash},
    trace,
};

/// Returns [`PaymentStatus::InFlight`] if the time is over and the payment is not. LNbits itself
/// waits for some seconds only.
impl Payer for Lnbits {
    fn profile(&self) -> PayerProfile {
        // An invoice key pays nothing, so it does not matter which wallet it is of.
        let name = self.wallet_id.as_deref().unwrap_or_default();
        let id = PayerId::of(NAME, name.as_bytes());
        PayerProfile::new(id, self.network, false)
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        limits: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        Box::pin(async move {
            payable::payable(NAME, invoice, self.network)?;
            match self.send(invoice, limits.time).await {
                Ok(status) => Ok(status),
                Err(unpaid) => {
                    unpaid
                        .look_up(&self.rest, self, invoice.payment_hash())
                        .await
                }
            }
        })
    }

    fn lookup_payment(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        Box::pin(async move {
            let found = find(&self.rest, payment_hash).await;
            let found = found.map_err(|error| self.rest.failed(error).maybe_paid())?;
            let Some((Some(payment), preimage)) =
                found.map(|found| (found.details, found.preimage))
            else {
                return Ok(PaymentStatus::Unknown);
            };
            // An invoice of this wallet, which it did not pay itself.
            if payment.amount > 0 {
                return Ok(PaymentStatus::Unknown);
            }
            payment.paid(payment_hash, preimage.as_deref())
        })
    }
}

impl Lnbits {
    /// Sends the payment once, and waits for the answer.
    async fn send(&self, invoice: &Invoice, limit: Duration) -> Result<PaymentStatus, Unpaid> {
        let body = NewPayment {
            out: true,
            bolt11: invoice.as_str(),
        };
        let ask = Ask::post_json("/api/v1/payments", &body).map_err(Unpaid::Unsent)?;
        let reply = self.rest.call_once(ask, limit.saturating_add(GRACE)).await;
        let reply = reply.map_err(|error| Unpaid::of(error.into()))?;
        if !reply.status.is_success() {
            return Err(match explain(&reply) {
                // LNbits answers 520 to what it does not pay, and 500 to its own faults.
                CallError::Explained(why)
                    if why.kind == NodeErrorKind::Refused
                        && (reply.status.is_client_error() || reply.status.as_u16() == 520) =>
                {
                    trace::warn(format_args!(
                        "LNbits: the payment {} was refused: {}",
                        invoice.payment_hash(),
                        why.text
                    ));
                    Unpaid::Refused(CallError::Explained(why))
                }
                error => Unpaid::Lost(error),
            });
        }
        let sent: Sent = reply.json().map_err(Unpaid::Lost)?;
        let hash = invoice.payment_hash();
        sent.payment.is(hash).map_err(Unpaid::Lost)?;
        let status = sent.payment.paid(hash, sent.preimage.as_deref());
        status.map_err(Unpaid::BadAnswer)
    }
}

impl Payment {
    fn paid(
        &self,
        payment_hash: PaymentHash,
        preimage: Option<&str>,
    ) -> Result<PaymentStatus, NodeError> {
        match self.status.as_str() {
            "success" => {
                let fee = Amount::from_msat(self.fee.unsigned_abs());
                exact::paid(NAME, payment_hash, preimage, fee)
            }
            "failed" => Ok(PaymentStatus::Failed),
            "pending" => Ok(PaymentStatus::InFlight),
            _ => {
                let why = "expected the status of a payment";
                Err(NodeError::new(NodeErrorKind::BadAnswer, NAME, why).maybe_paid())
            }
        }
    }
}
