use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::{
    NAME, Phoenixd,
    node::{call, explain},
    wire::{Outgoing, Sent},
};
use crate::{
    lightning::{
        BoxFuture, NodeError, NodeErrorKind, PayLimits, Payer, PayerProfile, PaymentStatus, exact,
        outcome::Unpaid,
        payable,
        rest::{Ask, CallError, Explained, GRACE, RestError},
        url::ConnectErrorKind,
    },
    payment::{Amount, Invoice, PayerId, PaymentHash},
    trace,
};

/// Returns [`PaymentStatus::InFlight`] if the time is over and the payment is not. phoenixd itself
/// has no time limit.
impl Payer for Phoenixd {
    fn profile(&self) -> PayerProfile {
        PayerProfile::new(PayerId::of(NAME, &self.public_key), self.network, false)
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
            let lost = |error: CallError| self.rest.failed(error).maybe_paid();
            match self.outgoing(payment_hash).await.map_err(lost)? {
                Some(payment) => payment.status(payment_hash),
                None => Ok(PaymentStatus::Unknown),
            }
        })
    }
}

impl Phoenixd {
    /// Sends the payment once, unless it exists, and waits for its outcome.
    async fn send(&self, invoice: &Invoice, limit: Duration) -> Result<PaymentStatus, Unpaid> {
        let hash = invoice.payment_hash();
        let (began, limit) = (Instant::now(), limit.saturating_add(GRACE));
        // phoenixd refuses to pay an invoice again, but does not say that it was paid.
        if let Some(earlier) = self.outgoing(hash).await.map_err(Unpaid::Unsent)? {
            let status = earlier.status(hash).map_err(Unpaid::BadAnswer)?;
            if !matches!(status, PaymentStatus::Failed) {
                return Ok(status);
            }
        }
        let ask = Ask::post_form("/payinvoice", &[("invoice", invoice.as_str())]);
        // The question above has used a part of the time.
        let left = limit.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Err(Unpaid::Unsent(RestError::Late(limit).into()));
        }
        let reply = self.rest.call_once(ask, left).await;
        let reply = reply.map_err(|error| Unpaid::of(error.into()))?;
        match reply.status {
            StatusCode::OK => {}
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
                return Err(Unpaid::Refused(explain(&reply)));
            }
            _ => return Err(Unpaid::Lost(explain(&reply))),
        }
        let sent: Sent = reply.json().map_err(Unpaid::Lost)?;
        same(sent.payment_hash.as_deref(), hash).map_err(Unpaid::BadAnswer)?;
        if let Some(reason) = sent.reason {
            let reason: String = reason.chars().take(300).collect();
            trace::warn(format_args!(
                "phoenixd: the payment {hash} failed: {reason}"
            ));
            return Err(Unpaid::Refused(CallError::Explained(Explained {
                kind: NodeErrorKind::Refused,
                connect: ConnectErrorKind::Node,
                text: reason,
            })));
        }
        let fee = Amount::try_from_sat(sent.routing_fee_sat.unwrap_or_default());
        let fee = fee.ok_or_else(|| Unpaid::BadAnswer(bad("expected a fee in satoshis")))?;
        let preimage = sent.payment_preimage.as_deref();
        exact::paid(NAME, hash, preimage, fee).map_err(Unpaid::BadAnswer)
    }

    /// Returns the attempt to pay that went furthest, or `None` if there is none.
    async fn outgoing(&self, payment_hash: PaymentHash) -> Result<Option<Outgoing>, CallError> {
        let path = format!("/payments/outgoingbyhash/{payment_hash}");
        match call(&self.rest, Ask::get(path)).await {
            Ok(reply) => reply.json().map(Some),
            Err((Some(StatusCode::NOT_FOUND), _)) => Ok(None),
            Err((_, error)) => Err(error),
        }
    }
}

impl Outgoing {
    fn status(&self, payment_hash: PaymentHash) -> Result<PaymentStatus, NodeError> {
        same(self.payment_hash.as_deref(), payment_hash)?;
        match (self.is_paid, self.completed_at) {
            (true, _) => {
                let fee = Amount::from_msat(self.fees);
                exact::paid(NAME, payment_hash, self.preimage.as_deref(), fee)
            }
            (false, None) => Ok(PaymentStatus::InFlight),
            (false, Some(_)) => Ok(PaymentStatus::Failed),
        }
    }
}

fn same(told: Option<&str>, payment_hash: PaymentHash) -> Result<(), NodeError> {
    match told.and_then(PaymentHash::from_hex) == Some(payment_hash) {
        true => Ok(()),
        false => Err(bad("expected the payment that was asked for")),
    }
}

fn bad(why: &'static str) -> NodeError {
    NodeError::new(NodeErrorKind::BadAnswer, NAME, why).maybe_paid()
}
