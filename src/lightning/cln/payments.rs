//! Payments.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    fault::{NAME, refused},
    rpc::{self, ANSWER, Fault},
    wire::{OfPayment, Pays, Sent, Xpay},
};
use crate::{
    lightning::{
        NodeError, PayLimits, PaymentStatus, detached,
        sending::{Begin, Sending},
    },
    payment::{Invoice, PaymentHash},
    trace,
};

/// The error codes of a payment that failed, as the reference of `xpay` and `pay` lists them. Others
/// say that it is under way (200) or was made before (201, 219), or are not documented.
const FAILED: [i64; 6] = [203, 205, 206, 207, 209, 210];

/// The error codes of a call that the node did not understand, so that it did nothing.
const NOT_UNDERSTOOD: [i64; 2] = [-32601, -32602];

/// The first and the longest pause before `listpays` is asked again after an error. The node lists a
/// payment that failed as under way until it has tidied up, which takes some milliseconds.
const TIDYING: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// Pays an invoice, or waits for an earlier call that pays it. After the time limit the payment
/// goes on without the caller.
pub(super) async fn pay(
    socket: &Arc<Path>,
    sending: &Arc<Sending>,
    invoice: &Invoice,
    limits: PayLimits,
) -> Result<PaymentStatus, NodeError> {
    let payment_hash = invoice.payment_hash();
    let underway = match sending.begin(payment_hash) {
        Begin::Yours(underway) => underway,
        Begin::Underway => return Ok(PaymentStatus::InFlight),
        Begin::Full => return Err(refused("too many payments are under way: try again later")),
    };
    let (socket, xpay) = (
        Arc::clone(socket),
        Xpay {
            invstring: invoice.as_str().to_owned(),
            maxfee: limits.max_fee.as_msat(),
            retry_for: seconds(limits.time),
        },
    );
    let payment = async move {
        let outcome = send(&socket, payment_hash, xpay).await;
        drop(underway);
        outcome
    };
    detached::pay(NAME, limits.time, payment).await
}

/// Returns a time limit in the seconds that the node takes: rounded up, and at least one.
fn seconds(limit: Duration) -> u32 {
    let seconds = limit.as_millis().div_ceil(1_000);
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}

/// Returns the status of a payment. One that this process still makes is in flight, also before
/// the node knows of it.
pub(super) async fn status(
    socket: &Path,
    sending: &Sending,
    payment_hash: PaymentHash,
) -> Result<PaymentStatus, NodeError> {
    let underway = sending.has(payment_hash);
    let listed = listed(socket, payment_hash).await;
    match listed.map_err(NodeError::maybe_paid)? {
        PaymentStatus::Failed | PaymentStatus::Unknown if underway => Ok(PaymentStatus::InFlight),
        status => Ok(status),
    }
}

async fn listed(socket: &Path, payment_hash: PaymentHash) -> Result<PaymentStatus, NodeError> {
    let params = OfPayment::from(payment_hash);
    let pays: Pays = rpc::call(socket, "listpays", params, Some(ANSWER)).await?;
    pays.status(payment_hash)
}

/// Returns the status of a payment for which `xpay` has just returned an error. Some parts of it may
/// still be under way, or it was paid before.
async fn after_error(socket: &Path, payment_hash: PaymentHash) -> Result<PaymentStatus, NodeError> {
    let mut pause = TIDYING.0;
    loop {
        let status = listed(socket, payment_hash).await?;
        if pause > TIDYING.1 || !matches!(status, PaymentStatus::InFlight) {
            return Ok(status);
        }
        sleep(pause).await;
        pause *= 2;
    }
}

async fn send(
    socket: &Path,
    payment_hash: PaymentHash,
    xpay: Xpay,
) -> Result<PaymentStatus, NodeError> {
    match listed(socket, payment_hash).await? {
        PaymentStatus::Failed | PaymentStatus::Unknown => {}
        earlier => return Ok(earlier),
    }
    let no_limit: Option<Duration> = None;
    let fault = match rpc::call::<Sent>(socket, "xpay", xpay, no_limit).await {
        Ok(sent) => return sent.status(payment_hash),
        Err(fault @ Fault::Unsent(_)) => return Err(fault.into()),
        Err(fault) => fault,
    };
    let Fault::Refused { code, .. } = fault else {
        return Err(NodeError::from(fault).maybe_paid());
    };
    let error = NodeError::from(fault);
    if NOT_UNDERSTOOD.contains(&code) {
        return Err(error);
    }
    match after_error(socket, payment_hash).await {
        Ok(PaymentStatus::Failed | PaymentStatus::Unknown) if FAILED.contains(&code) => {
            trace::warn(format_args!("a payment failed: {error}"));
            Ok(PaymentStatus::Failed)
        }
        Ok(PaymentStatus::Failed | PaymentStatus::Unknown) => Err(error.maybe_paid()),
        Ok(status) => Ok(status),
        Err(error) => Err(error.maybe_paid()),
    }
}
