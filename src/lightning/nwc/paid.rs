use std::sync::Mutex;

use crate::{
    clock::{Clock as _, SystemClock, Timestamp},
    lightning::{
        PaymentStatus,
        remembered::{Forgettable, PAID, Remembered, UNPAID},
    },
    lock::lock,
    payment::{Amount, Invoice, PaymentHash, Preimage},
};

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
        let mut attempts = lock(&self.0);
        let unclear = match attempts
            .get(invoice.payment_hash())
            .map(|attempt| &attempt.state)
        {
            Some(State::Underway) => return Begin::Already(PaymentStatus::InFlight),
            Some(State::Paid { preimage, fee }) => {
                return Begin::Already(PaymentStatus::Paid {
                    preimage: preimage.clone(),
                    fee: *fee,
                });
            }
            Some(State::Unclear { failed_before }) => Some(*failed_before),
            Some(State::Over) | None => None,
        };
        let attempt = Attempt {
            state: State::Underway,
            invoice_ends: invoice.expires_at(),
        };
        let now = SystemClock::new().now();
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

    /// Returns how far a payment got. One whose outcome is unclear is over when its invoice has
    /// expired, because no wallet pays an expired invoice.
    pub(super) fn get(&self, payment_hash: PaymentHash) -> Option<State> {
        let attempts = lock(&self.0);
        let attempt = attempts.get(payment_hash)?;
        Some(match attempt.state {
            State::Unclear { .. } if attempt.invoice_ends <= SystemClock::new().now() => {
                State::Over
            }
            ref state => state.clone(),
        })
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
    fn an_unclear_payment_is_over_when_its_invoice_has_expired() {
        let now = SystemClock::new().now();
        let ago = |seconds| Timestamp::from_unix_seconds(now.as_unix_seconds() - seconds);
        for (invoice, over) in [
            (invoice(now), false),
            (invoice(ago(300)), false),
            (invoice(ago(601)), true),
        ] {
            let (attempts, hash) = (Attempts::new(), invoice.payment_hash());
            assert!(attempts.get(hash).is_none());
            let begun = attempts.begin(&invoice);
            assert!(matches!(begun, Begin::Yours { unclear: None }));
            assert!(matches!(attempts.get(hash), Some(State::Underway)));
            attempts.set(
                hash,
                State::Unclear {
                    failed_before: true,
                },
            );
            assert_eq!(matches!(attempts.get(hash), Some(State::Over)), over);
            let begun = attempts.begin(&invoice);
            assert!(matches!(
                begun,
                Begin::Yours {
                    unclear: Some(true)
                }
            ));
            let begun = attempts.begin(&invoice);
            assert!(matches!(begun, Begin::Already(PaymentStatus::InFlight)));
        }
    }
}
