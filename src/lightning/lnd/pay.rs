use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::{
    Lnd, NAME, fault,
    wire::{Frame, KnownPayment, NewPayment, number},
};
use crate::{
    codec::base64,
    lightning::{
        BoxFuture, NodeError, NodeErrorKind, PayLimits, Payer, PayerProfile, PaymentStatus, exact,
        outcome::Unpaid,
        payable,
        rest::{self, Ask, CallError, GRACE, LIMIT, Lines, RestError},
    },
    payment::{Amount, Invoice, PayerId, PaymentHash},
    trace,
};

/// A time that no call needs, and that can be added to a moment.
const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);

/// Returns [`PaymentStatus::InFlight`] if the time is over and the payment is not.
impl Payer for Lnd {
    fn profile(&self) -> PayerProfile {
        PayerProfile::new(PayerId::of(NAME, &self.public_key), self.network, true)
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        limits: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        Box::pin(async move {
            payable::payable(NAME, invoice, self.network)?;
            if let Some(why) = self.cannot_pay() {
                return Err(NodeError::new(NodeErrorKind::Refused, NAME, why));
            }
            let hash = invoice.payment_hash();
            let end = Instant::now() + limits.time.saturating_add(GRACE).min(LONGEST);
            match self.send(invoice, limits).await {
                Ok(Some(status)) => Ok(status),
                Ok(None) => self.outcome(hash, end).await,
                Err(unpaid) => unpaid.look_up(&self.rest, self, hash).await,
            }
        })
    }

    fn lookup_payment(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        Box::pin(async move {
            let first = timeout(LIMIT, self.track(payment_hash, false));
            match first.await.unwrap_or(Err(RestError::Late(LIMIT).into())) {
                Ok(Some(payment)) => payment.status(payment_hash),
                Ok(None) => Ok(PaymentStatus::Unknown),
                Err(error) => Err(self.rest.failed(error).maybe_paid()),
            }
        })
    }
}

impl Lnd {
    /// Returns why its macaroon cannot pay, if it cannot.
    pub(super) fn cannot_pay(&self) -> Option<&'static str> {
        self.rights.filter(|rights| !rights.pays()).map(|_| {
            "the macaroon of LND cannot pay: it needs offchain:read and offchain:write (lncli bakemacaroon offchain:read offchain:write info:read)"
        })
    }

    /// Sends the payment once, and waits for its outcome. Returns `None` if the payment exists.
    async fn send(
        &self,
        invoice: &Invoice,
        limits: PayLimits,
    ) -> Result<Option<PaymentStatus>, Unpaid> {
        let body = NewPayment {
            payment_request: invoice.as_str(),
            timeout_seconds: whole_seconds(limits.time),
            fee_limit_msat: limits.max_fee.as_msat().min(i64::MAX as u64).to_string(),
        };
        let ask = Ask::post_json("/v2/router/send", &body).map_err(Unpaid::Unsent)?;
        let limit = limits.time.saturating_add(GRACE);
        let hash = invoice.payment_hash();
        let mut began = false;
        let whole = async {
            let (status, mut lines) = self.rest.open(ask).await?;
            if !status.is_success() {
                let body = lines.next().await?.unwrap_or_default();
                return match fault::of_answer(status, &body) {
                    // This is not LND, but something in front of it.
                    (0, error) => Err(error),
                    fault => Ok(Err(fault)),
                };
            }
            while let Some(payment) = frame(&mut lines).await? {
                let payment = match payment {
                    Ok(payment) => payment,
                    Err(fault) => return Ok(Err(fault)),
                };
                began = true;
                if payment.is_final() {
                    return Ok(Ok(payment));
                }
            }
            Err(CallError::from(RestError::Lost(
                "the stream ended".to_owned(),
            )))
        };
        match timeout(limit, whole).await {
            Ok(Ok(Ok(payment))) => payment.status(hash).map(Some).map_err(Unpaid::BadAnswer),
            Ok(Ok(Err((fault::EXISTS, _)))) => Ok(None),
            // An error in the middle of the stream says nothing about the payment.
            Ok(Ok(Err(_)) | Err(_)) | Err(_) if began => Ok(Some(PaymentStatus::InFlight)),
            // LND's own proxy gives these, also while the call goes on behind it.
            Ok(Ok(Err((code, error)))) if fault::UNCLEAR.contains(&code) => {
                Err(Unpaid::Lost(error))
            }
            Ok(Ok(Err((_, error)))) => Err(Unpaid::Refused(error)),
            Ok(Err(error)) => Err(Unpaid::of(error)),
            Err(_) => Err(Unpaid::Lost(RestError::Late(limit).into())),
        }
    }

    /// Waits for the outcome of a payment that began earlier.
    async fn outcome(
        &self,
        payment_hash: PaymentHash,
        end: Instant,
    ) -> Result<PaymentStatus, NodeError> {
        match timeout_at(end, self.track(payment_hash, true)).await {
            Ok(Ok(Some(payment))) => payment.status(payment_hash),
            Ok(Ok(None)) | Err(_) => Ok(PaymentStatus::InFlight),
            Ok(Err(error)) => Err(self.rest.failed(error).maybe_paid()),
        }
    }

    /// Returns the present or the final state of a payment, or `None` if LND does not know it.
    async fn track(
        &self,
        payment_hash: PaymentHash,
        wait: bool,
    ) -> Result<Option<KnownPayment>, CallError> {
        let hash = base64::encode_url(payment_hash.as_bytes());
        let path = format!("/v2/router/track/{hash}=?no_inflight_updates={wait}");
        let (status, mut lines) = self.rest.open(Ask::get(path)).await?;
        if !status.is_success() {
            let body = lines.next().await?.unwrap_or_default();
            return match fault::of_answer(status, &body) {
                (fault::UNKNOWN, _) => Ok(None),
                (_, error) => Err(error),
            };
        }
        match frame(&mut lines).await? {
            Some(Ok(payment)) => Ok(Some(payment)),
            Some(Err((fault::UNKNOWN, _))) => Ok(None),
            Some(Err((_, error))) => Err(error),
            None => Err(CallError::bad("expected the state of a payment")),
        }
    }
}

type Frames = Option<Result<KnownPayment, (i64, CallError)>>;

/// Returns the next line of a stream of payments.
async fn frame(lines: &mut Lines) -> Result<Frames, CallError> {
    let Some(line) = lines.next().await? else {
        return Ok(None);
    };
    match rest::parse::<Frame<KnownPayment>>(&line)? {
        Frame {
            error: Some(fault), ..
        } => Ok(Some(Err(fault::of(&fault)))),
        Frame {
            result: Some(payment),
            ..
        } => Ok(Some(Ok(payment))),
        Frame { .. } => Err(CallError::bad("expected the state of a payment")),
    }
}

impl KnownPayment {
    fn is_final(&self) -> bool {
        matches!(self.status.as_str(), "SUCCEEDED" | "FAILED")
    }

    fn status(&self, payment_hash: PaymentHash) -> Result<PaymentStatus, NodeError> {
        let bad = |why| NodeError::new(NodeErrorKind::BadAnswer, NAME, why).maybe_paid();
        if PaymentHash::from_hex(&self.payment_hash) != Some(payment_hash) {
            return Err(bad("expected the payment that was asked for"));
        }
        match self.status.as_str() {
            "SUCCEEDED" => {
                let fee =
                    number(&self.fee_msat).map_err(|_| bad("expected a fee in millisatoshi"))?;
                exact::paid(
                    NAME,
                    payment_hash,
                    Some(&self.payment_preimage),
                    Amount::from_msat(fee),
                )
            }
            "FAILED" => {
                let reason = failure(&self.failure_reason);
                trace::warn(format_args!(
                    "LND: the payment {payment_hash} failed: {reason}"
                ));
                Ok(PaymentStatus::Failed)
            }
            "IN_FLIGHT" | "INITIATED" => Ok(PaymentStatus::InFlight),
            _ => Err(bad("expected the status of a payment")),
        }
    }
}

fn failure(reason: &str) -> &'static str {
    match reason {
        "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS" => {
            "the payee refused it: the invoice may have expired or be paid already"
        }
        "FAILURE_REASON_INSUFFICIENT_BALANCE" => "the channels have too little outbound liquidity",
        "FAILURE_REASON_NO_ROUTE" => {
            "no route within the fee limit: raise the limit, or check the channels, and the inbound liquidity of the payee"
        }
        "FAILURE_REASON_TIMEOUT" => "no route was found in time",
        _ => "LND does not say why",
    }
}

/// Returns the time in the whole seconds that LND takes: at least one, in 32 bits.
fn whole_seconds(time: Duration) -> u64 {
    let rounded_up = time
        .as_secs()
        .saturating_add(u64::from(time.subsec_nanos() > 0));
    rounded_up.clamp(1, i32::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rounded_up_to_seconds_that_lnd_takes() {
        for (time, seconds) in [
            (Duration::ZERO, 1),
            (Duration::from_millis(1), 1),
            (Duration::from_millis(1_001), 2),
            (Duration::from_secs(60), 60),
            (Duration::MAX, 2_147_483_647),
        ] {
            assert_eq!(whole_seconds(time), seconds, "{time:?}");
        }
    }
}
