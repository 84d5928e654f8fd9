//! What a receiver whose key others know has answered about invoices.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{pace::Pace, turns::Turns};
use crate::{payment::PaymentHash, recent::Recent};

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
pub(in crate::server) struct Confirmations {
    settled: Mutex<Recent<PaymentHash, ()>>,
    /// Whether a payment that was not settled may still be.
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
    /// Whether the receiver called this payment settled.
    pub(in crate::server) fn is_settled(&self, payment_hash: &PaymentHash) -> bool {
        lock(&self.settled).get(payment_hash).is_some()
    }

    /// Remembers a settled payment.
    pub(in crate::server) fn settled(&self, payment_hash: PaymentHash) {
        lock(&self.settled).entry(payment_hash);
    }

    /// Remembers a payment that is not settled, and whether it still may be.
    pub(in crate::server) fn not_settled(&self, payment_hash: PaymentHash, may_settle: bool) {
        *lock(&self.may_settle).entry(payment_hash) = may_settle;
    }

    /// Whether a payment that was not settled when the receiver was asked last may still be.
    pub(in crate::server) fn last(&self, payment_hash: &PaymentHash) -> Option<bool> {
        lock(&self.may_settle).get(payment_hash).copied()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
