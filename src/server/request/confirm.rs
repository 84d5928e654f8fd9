//! Asking a receiver whose key others know whether an invoice was settled.

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

/// How often, and how long apart, one request has the receiver asked before an unsettled invoice
/// counts as unpaid: a wallet's books may lag behind the preimage that its payer holds.
const LOOK_UPS: usize = 3;
const BETWEEN_LOOK_UPS: Duration = Duration::from_millis(300);

impl PaywallState {
    /// Whether the receiver must be asked if an invoice is settled.
    pub(in crate::server) fn must_confirm(&self, payment_hash: &PaymentHash) -> bool {
        let exclusive = matches!(self.profile.key_custody, KeyCustody::Exclusive);
        !exclusive && !self.confirmations.is_settled(payment_hash)
    }
}

/// Whether the receiver calls the invoice settled, if others know its key.
///
/// # Errors
///
/// Why nobody can say now.
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
    // Requests with the same payment wait here for the first one's answer.
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
    // A client that holds the preimage of an open invoice has paid it a moment ago, or was told it
    // without paying: the first must not be asked to pay again, the second gets nothing either way.
    match answers.last(&payment_hash) {
        // An answer to an earlier request may be out of date, and an invoice that was paid since must
        // not be asked for again.
        Some(false) if was_asked => Ok(false),
        Some(true) => Err("the Lightning node has not settled this payment yet"),
        Some(false) | None => Err(
            "the Lightning node was asked about payments too often: wait before you send this again",
        ),
    }
}

/// One look-up, if it is not too often. Waits once, if nothing is known: a request before this one
/// may have been dropped before its answer came.
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
