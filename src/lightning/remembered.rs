use std::{collections::HashMap, time::Duration};

use crate::{clock::Timestamp, payment::PaymentHash};

/// How long after its invoice's end what came to nothing is still known.
pub(crate) const UNPAID: Duration = Duration::from_secs(3_600);

/// How long after its invoice's end a payment is still known: longer than any credential lives by
/// default.
pub(crate) const PAID: Duration = Duration::from_secs(32 * 86_400);

/// More than this is refused: an in-process node never forgets what is still of use to make room.
const MOST: usize = 1_000_000;

/// Fewer than this are not worth sweeping.
const FEW: usize = 1_024;

/// What an in-process node knows of its invoices or payments, each until it is of no more use.
pub(crate) struct Remembered<T> {
    entries: HashMap<PaymentHash, T>,
    sweep_at: usize,
}

/// Something that need not be remembered for ever.
pub(crate) trait Forgettable {
    /// The first moment at which nobody needs this any more.
    fn forget_at(&self) -> Timestamp;
}

impl<T: Forgettable> Remembered<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            sweep_at: FEW,
        }
    }

    pub(crate) fn get(&self, payment_hash: PaymentHash) -> Option<&T> {
        self.entries.get(&payment_hash)
    }

    pub(crate) fn get_mut(&mut self, payment_hash: PaymentHash) -> Option<&mut T> {
        self.entries.get_mut(&payment_hash)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds or replaces an entry; gives it back where there is no room.
    pub(crate) fn insert(
        &mut self,
        payment_hash: PaymentHash,
        entry: T,
        now: Timestamp,
    ) -> Result<(), T> {
        // Swept when as many were added as were left, so that the cost of one insertion does not
        // grow.
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, entry| now < entry.forget_at());
            self.sweep_at = (2 * self.entries.len()).clamp(FEW, MOST);
        }
        if self.entries.len() >= MOST && !self.entries.contains_key(&payment_hash) {
            return Err(entry);
        }
        self.entries.insert(payment_hash, entry);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Forgettable for Timestamp {
        fn forget_at(&self) -> Timestamp {
            *self
        }
    }

    #[test]
    fn what_is_over_is_forgotten_and_nothing_else() {
        let mut remembered = Remembered::new();
        for second in 0..100_000_u64 {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&second.to_be_bytes());
            let (now, end) = (
                Timestamp::from_unix_seconds(second),
                Timestamp::from_unix_seconds(second + 500),
            );
            assert!(
                remembered
                    .insert(PaymentHash::from_bytes(name), end, now)
                    .is_ok()
            );
            assert!(remembered.len() <= 2 * FEW, "{}", remembered.len());
        }
        for second in 99_500..100_000_u64 {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&second.to_be_bytes());
            assert!(
                remembered.get(PaymentHash::from_bytes(name)).is_some(),
                "{second}"
            );
        }
    }
}
