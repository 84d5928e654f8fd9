use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use crate::{lock::lock, payment::PaymentHash};

/// The most payments of one wallet that are under way at the same time.
const MOST: usize = 1_000;

/// The payments that a wallet is making for this process. None is begun twice.
#[derive(Default)]
pub(crate) struct Sending(Mutex<HashSet<PaymentHash>>);

/// The outcome of [`Sending::begin`].
pub(crate) enum Begin {
    /// The caller makes the payment.
    Yours(Underway),
    /// It is already being made.
    Underway,
    /// Too many payments are under way.
    Full,
}

impl Sending {
    pub(crate) fn begin(self: &Arc<Self>, payment_hash: PaymentHash) -> Begin {
        let mut hashes = lock(&self.0);
        if hashes.contains(&payment_hash) {
            return Begin::Underway;
        }
        if hashes.len() >= MOST {
            return Begin::Full;
        }
        hashes.insert(payment_hash);
        Begin::Yours(Underway {
            sending: Arc::clone(self),
            payment_hash,
        })
    }

    pub(crate) fn has(&self, payment_hash: PaymentHash) -> bool {
        lock(&self.0).contains(&payment_hash)
    }
}

/// A payment under way, until it is dropped.
pub(crate) struct Underway {
    sending: Arc<Sending>,
    payment_hash: PaymentHash,
}

impl Drop for Underway {
    fn drop(&mut self) {
        lock(&self.sending.0).remove(&self.payment_hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_is_begun_once_until_it_has_ended() {
        let sending = Arc::new(Sending::default());
        let hash = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            PaymentHash::from_bytes(bytes)
        };
        let Begin::Yours(first) = sending.begin(hash(0)) else {
            panic!("nothing is under way")
        };
        assert!(matches!(sending.begin(hash(0)), Begin::Underway));
        assert!(sending.has(hash(0)) && !sending.has(hash(1)));
        let others: Vec<_> = (1..MOST)
            .map(|number| sending.begin(hash(number)))
            .collect();
        assert!(others.iter().all(|begin| matches!(begin, Begin::Yours(_))));
        assert!(matches!(sending.begin(hash(MOST)), Begin::Full));
        drop(first);
        assert!(!sending.has(hash(0)));
        assert!(matches!(sending.begin(hash(0)), Begin::Yours(_)));
    }
}
