//! Asks the receiver whether an invoice was settled, if others know the receiver's key.

use std::time::Duration;

use super::within;
use crate::{
    lightning::{InvoiceStatus, KeyCustody},
    payment::{PaymentHash, Proof},
    server::{
        address::ClientKey,
        config::paywall::PaywallState,
        state::pace::{Taken, TooOften},
    },
    trace,
};

/// How often one request asks the receiver before an unsettled invoice counts as unpaid, and the
/// time between two questions. A wallet may record a payment later than the payer gets the preimage.
const LOOK_UPS: usize = 3;
const BETWEEN_LOOK_UPS: Duration = Duration::from_millis(300);

impl PaywallState {
    /// Returns whether the receiver must be asked if an invoice is settled.
    pub(in crate::server) fn must_confirm(&self, payment_hash: &PaymentHash) -> bool {
        let exclusive = matches!(self.profile.key_custody, KeyCustody::Exclusive);
        !exclusive && !self.confirmations.is_settled(payment_hash)
    }
}

/// Returns whether the receiver says that the invoice is settled, or `true` if nobody else knows its
/// key.
///
/// # Errors
///
/// The reason, for the client, if it cannot be known now.
pub(in crate::server) async fn confirm(
    setup: &PaywallState,
    proof: &Proof,
    client: ClientKey,
) -> Result<bool, &'static str> {
    let payment_hash = proof.payment_hash;
    if !setup.must_confirm(&payment_hash) {
        return Ok(true);
    }
    let answers = &setup.confirmations;
    // Requests with the same payment wait for the answer to the first one.
    let mut line = answers.turns.line_up(payment_hash, 1);
    if within(setup.time_limit, line.turn()).await.is_none() {
        return Err("the Lightning node did not confirm the payment in time");
    }
    let mut was_asked = false;
    for attempt in 0..LOOK_UPS {
        if attempt > 0 {
            tokio::time::sleep(BETWEEN_LOOK_UPS).await;
        }
        if !setup.must_confirm(&payment_hash) {
            return Ok(true);
        }
        let is_known = attempt > 0 || answers.last(&payment_hash).is_some();
        let Some(taken) = take(setup, payment_hash, client, is_known).await else {
            break;
        };
        match within(
            setup.time_limit,
            setup.receiver.lookup_invoice(payment_hash),
        )
        .await
        {
            Some(Ok(InvoiceStatus::Settled)) => {
                answers.pace.succeeded(client, taken);
                answers.settled(payment_hash);
                return Ok(true);
            }
            Some(Ok(status)) => {
                was_asked = true;
                answers.not_settled(payment_hash, status == InvoiceStatus::Open);
            }
            Some(Err(error)) => {
                trace::error(format_args!("a payment could not be confirmed: {error}"));
                return Err("the Lightning node could not confirm the payment");
            }
            None => return Err("the Lightning node did not confirm the payment in time"),
        }
    }
    // A client that holds the preimage of an open invoice has paid it a moment ago, or learned it
    // without paying. The first must not be asked to pay again. The second gets nothing either way.
    match answers.last(&payment_hash) {
        // An answer to an earlier request may be out of date. If the invoice was paid since, the
        // client must not be asked to pay again.
        Some(false) if was_asked => Ok(false),
        Some(true) => Err("the Lightning node has not settled this payment yet"),
        Some(false) | None => Err(
            "the Lightning node was asked about payments too often: wait before you send this again",
        ),
    }
}

/// Takes one look-up, if there were not too many. Waits once if nothing is known yet, because an
/// earlier request may have been dropped before its answer came.
async fn take(
    setup: &PaywallState,
    payment_hash: PaymentHash,
    client: ClientKey,
    is_known: bool,
) -> Option<Taken> {
    let pace = &setup.confirmations.pace;
    match pace.take(payment_hash, client) {
        Ok(taken) => Some(taken),
        Err(TooOften(wait)) if !is_known => {
            within(setup.time_limit, tokio::time::sleep(wait)).await?;
            pace.take(payment_hash, client).ok()
        }
        Err(_) => None,
    }
}
