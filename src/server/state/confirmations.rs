//! The answers about invoices of a receiver whose key others share.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{pace::Pace, turns::Turns};
use crate::{
    lock::lock,
    {payment::PaymentHash, recent::Recent},
};

/// How many look-ups of one payment run at once, and after how long one more. All requests with
/// that payment share these, and in between they share the last answer.
const OF_ONE_PAYMENT: (u32, Duration) = (4, Duration::from_secs(1));
/// The same for all payments of one client together: for the first look-up of each, and for all
/// others. Only look-ups of unsettled payments count. New unsettled payments are as scarce as
/// unpaid invoices. So nobody can use up the first look-ups of others at the same address.
const FIRSTS_OF_ONE_CLIENT: (u32, Duration) = (48, Duration::from_millis(250));
const OF_ONE_CLIENT: (u32, Duration) = (16, Duration::from_millis(250));

/// How many settled payments are remembered, and how many that were unsettled at the last look-up.
const SETTLED: usize = 100_000;
const UNSETTLED: usize = 16_384;

/// What a receiver with a shared key has answered. Settled payments are remembered, other answers
/// are shared for a short time. Bounded.
#[derive(Debug)]
pub(in crate::server) struct Confirmations {
    settled: Mutex<Recent<PaymentHash, ()>>,
    /// Whether an unsettled payment may still settle.
    may_settle: Mutex<Recent<PaymentHash, bool>>,
    pub(in crate::server) turns: Arc<Turns>,
    pub(in crate::server) pace: Pace,
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

impl Confirmations {
    /// Whether the receiver reported this payment as settled.
    pub(in crate::server) fn is_settled(&self, payment_hash: &PaymentHash) -> bool {
        lock(&self.settled).get(payment_hash).is_some()
    }

    /// Remembers a settled payment.
    pub(in crate::server) fn settled(&self, payment_hash: PaymentHash) {
        lock(&self.settled).entry(payment_hash);
    }

    /// Remembers an unsettled payment, and whether it may still settle.
    pub(in crate::server) fn not_settled(&self, payment_hash: PaymentHash, may_settle: bool) {
        *lock(&self.may_settle).entry(payment_hash) = may_settle;
    }

    /// Returns whether a payment that was unsettled at the last look-up may still settle.
    pub(in crate::server) fn last(&self, payment_hash: &PaymentHash) -> Option<bool> {
        lock(&self.may_settle).get(payment_hash).copied()
    }
}
