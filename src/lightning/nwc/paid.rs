use std::{sync::Mutex, time::Duration};

use crate::{
    clock::{Clock as _, SystemClock, Timestamp},
    lightning::{
        PaymentStatus,
        remembered::{Forgettable, PAID, Remembered, UNPAID},
    },
    lock::lock,
    payment::{Amount, Invoice, PaymentHash, Preimage},
};

/// How long after its invoice expires an unclear payment may still be made. A wallet may have begun it
/// before that, and a lightning payment is under way for at most 2016 blocks, which is about 14 days.
/// Twice that allows for slow blocks and for clocks that differ.
const DOUBT: Duration = Duration::from_secs(28 * 86_400);

/// The payments that this process asked the wallet for. NIP-47 does not say that a wallet pays an
/// invoice once, so this remembers what was paid, and what may have been.
pub(super) struct Attempts(Mutex<Remembered<Attempt>>);

struct Attempt {
    state: State,
    invoice_ends: Timestamp,
}

/// How far a payment got.
#[derive(Clone)]
pub(super) enum State {
    /// It is being made.
    Underway,
    /// It was asked for, and the outcome is unknown. If an attempt had failed before, a failure that
    /// the wallet tells may be that one.
    Unclear { failed_before: bool },
    /// It was paid.
    Paid { preimage: Preimage, fee: Amount },
    /// It was not paid, and can be tried again.
    Over,
}

impl Attempt {
    /// Returns how far the payment got. An unclear one is over some time after its invoice expired.
    fn state_at(&self, now: Timestamp) -> State {
        match self.state {
            State::Unclear { .. } if self.invoice_ends.saturating_add(DOUBT) <= now => State::Over,
            ref state => state.clone(),
        }
    }
}

impl Forgettable for Attempt {
    fn forget_at(&self) -> Timestamp {
        let after = match self.state {
            State::Over => UNPAID,
            _ => PAID,
        };
        self.invoice_ends.saturating_add(after)
    }
}

/// Whether an attempt had failed before the one whose outcome is unclear.
pub(super) type FailedBefore = bool;

/// The outcome of [`Attempts::begin`].
pub(super) enum Begin {
    /// The caller makes the payment, which may have been asked for before.
    Yours { unclear: Option<FailedBefore> },
    /// The payment has this status, and nothing is to be done.
    Already(PaymentStatus),
    /// There is no room for another payment.
    Full,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Remembered::new()))
    }

    pub(super) fn begin(&self, invoice: &Invoice) -> Begin {
        let now = SystemClock::new().now();
        let mut attempts = lock(&self.0);
        let known = attempts.get(invoice.payment_hash());
        let unclear = match known.map(|attempt| attempt.state_at(now)) {
            Some(State::Underway) => return Begin::Already(PaymentStatus::InFlight),
            Some(State::Paid { preimage, fee }) => {
                return Begin::Already(PaymentStatus::Paid { preimage, fee });
            }
            Some(State::Unclear { failed_before }) => Some(failed_before),
            Some(State::Over) | None => None,
        };
        let attempt = Attempt {
            state: State::Underway,
            invoice_ends: invoice.expires_at(),
        };
        match attempts.insert(invoice.payment_hash(), attempt, now) {
            Ok(()) => Begin::Yours { unclear },
            Err(_) => Begin::Full,
        }
    }

    /// Sets how far a payment got that was begun.
    pub(super) fn set(&self, payment_hash: PaymentHash, state: State) {
        if let Some(attempt) = lock(&self.0).get_mut(payment_hash) {
            attempt.state = state;
        }
    }

    /// Returns how far a payment got.
    pub(super) fn get(&self, payment_hash: PaymentHash) -> Option<State> {
        let attempts = lock(&self.0);
        let attempt = attempts.get(payment_hash)?;
        Some(attempt.state_at(SystemClock::new().now()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::payment::{InvoiceDescription, InvoiceDraft, Network, SigningKey};

    fn invoice(created_at: Timestamp) -> Invoice {
        let draft = InvoiceDraft {
            network: Network::Regtest,
            amount: Amount::from_sat(1),
            payment_hash: PaymentHash::from_bytes([7; 32]),
            description: InvoiceDescription::Text(String::new()),
            created_at,
            expiry: Duration::from_secs(600),
        };
        draft.sign(&SigningKey::random().unwrap()).unwrap()
    }

    #[test]
    fn an_unclear_payment_is_in_doubt_for_weeks_after_its_invoice_has_expired() {
        let now = SystemClock::new().now();
        let ago = |seconds| Timestamp::from_unix_seconds(now.as_unix_seconds() - seconds);
        for (invoice, over) in [
            (invoice(now), false),
            (invoice(ago(601)), false),
            (invoice(ago(14 * 86_400 + 600)), false),
            (invoice(ago(28 * 86_400 + 601)), true),
        ] {
            let (attempts, hash) = (Attempts::new(), invoice.payment_hash());
            assert!(attempts.get(hash).is_none());
            let begun = attempts.begin(&invoice);
            assert!(matches!(begun, Begin::Yours { unclear: None }));
            assert!(matches!(attempts.get(hash), Some(State::Underway)));
            let failed_before = true;
            attempts.set(hash, State::Unclear { failed_before });
            assert_eq!(matches!(attempts.get(hash), Some(State::Over)), over);
            let Begin::Yours { unclear } = attempts.begin(&invoice) else {
                panic!("an unclear payment is asked for again")
            };
            assert_eq!(unclear, (!over).then_some(failed_before));
            let begun = attempts.begin(&invoice);
            assert!(matches!(begun, Begin::Already(PaymentStatus::InFlight)));
        }
    }

    #[test]
    fn a_payment_is_remembered_for_longer_than_it_is_in_doubt() {
        assert!(DOUBT + crate::payment::SKEW < PAID);
    }
}
