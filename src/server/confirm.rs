//! Asking a receiver whose key others know whether an invoice was settled.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    address::ClientKey,
    pace::{Pace, Taken, TooOften},
    paywall::Setup,
    recent::Recent,
    turns::Turns,
    within,
};
use crate::{
    lightning::{InvoiceStatus, KeyCustody},
    payment::{PaymentHash, Proof},
    trace,
};

/// How often, and how long apart, one request has the receiver asked before an unsettled invoice
/// counts as unpaid: a wallet's books may lag behind the preimage that its payer holds.
const LOOK_UPS: usize = 3;
const BETWEEN_LOOK_UPS: Duration = Duration::from_millis(300);

/// How often the receiver is asked about one payment at once, and after how long once more. All
/// requests with that payment share this, and in between they share what was answered last.
const OF_ONE_PAYMENT: (u32, Duration) = (4, Duration::from_secs(1));
/// The same for all payments of one client together: for the first look-up of each, and for all
/// others. Only look-ups that find nothing settled count. New payments that are not settled are as
/// scarce as unpaid invoices, so nobody keeps those who pay behind the same address from being
/// asked about once.
const FIRSTS_OF_ONE_CLIENT: (u32, Duration) = (48, Duration::from_millis(250));
const OF_ONE_CLIENT: (u32, Duration) = (16, Duration::from_millis(250));

/// How many settled payments are remembered, and how many that were not settled when the receiver
/// was asked last.
const SETTLED: usize = 100_000;
const UNSETTLED: usize = 16_384;

/// What a receiver with a shared key has answered: settled is remembered, everything else shared
/// for a moment. Bounded.
#[derive(Debug)]
pub(super) struct Confirmations {
    settled: Mutex<Recent<PaymentHash, ()>>,
    /// Whether a payment that was not settled may still be.
    may_settle: Mutex<Recent<PaymentHash, bool>>,
    turns: Arc<Turns>,
    pace: Pace,
}

impl Default for Confirmations {
    fn default() -> Self {
        Self {
            settled: Mutex::new(Recent::new(SETTLED)),
            may_settle: Mutex::new(Recent::new(UNSETTLED)),
            turns: Arc::default(),
            pace: Pace::new(OF_ONE_PAYMENT, OF_ONE_CLIENT).with_firsts(FIRSTS_OF_ONE_CLIENT),
        }
    }
}

impl Setup {
    /// Whether the receiver must be asked if an invoice is settled.
    pub(super) fn must_confirm(&self, payment_hash: &PaymentHash) -> bool {
        let exclusive = matches!(self.profile.key_custody, KeyCustody::Exclusive);
        !exclusive
            && lock(&self.confirmations.settled)
                .get(payment_hash)
                .is_none()
    }
}

/// Whether the receiver calls the invoice settled, if others know its key.
///
/// # Errors
///
/// Why nobody can say now.
pub(super) async fn confirm(
    setup: &Setup,
    proof: &Proof,
    client: ClientKey,
) -> Result<bool, &'static str> {
    let payment_hash = proof.payment_hash;
    if !setup.must_confirm(&payment_hash) {
        return Ok(true);
    }
    let Confirmations {
        settled,
        may_settle,
        turns,
        pace,
    } = &setup.confirmations;
    // Requests with the same payment wait here for the first one's answer.
    let mut line = turns.line_up(payment_hash, 1);
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
        let is_known = attempt > 0 || lock(may_settle).get(&payment_hash).is_some();
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
                pace.succeeded(client, taken);
                lock(settled).entry(payment_hash);
                return Ok(true);
            }
            Some(Ok(status)) => {
                was_asked = true;
                *lock(may_settle).entry(payment_hash) = status == InvoiceStatus::Open
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
    match lock(may_settle).get(&payment_hash) {
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
    setup: &Setup,
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
