use std::{collections::HashMap, time::Duration};

use crate::{clock::Timestamp, payment::PaymentHash};

/// How long after its invoice expires an unpaid invoice or a failed payment is remembered.
pub(crate) const UNPAID: Duration = Duration::from_secs(3_600);

/// How long after its invoice expires a payment is remembered. By default no credential lives that
/// long.
pub(crate) const PAID: Duration = Duration::from_secs(32 * 86_400);

/// The most entries. Further ones are refused, because an in-process node never forgets a live
/// entry to make room.
const MOST: usize = 1_000_000;

/// Fewer entries than this are not swept.
const FEW: usize = 1_024;

/// The invoices or payments of an in-process node. Each is forgotten some time after it expires.
pub(crate) struct Remembered<T> {
    entries: HashMap<PaymentHash, T>,
    sweep_at: usize,
}

/// An entry that can be forgotten after some time.
pub(crate) trait Forgettable {
    /// Returns when the entry may be forgotten.
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

    /// Adds or replaces an entry. Returns it as the error if there is no room.
    pub(crate) fn insert(
        &mut self,
        payment_hash: PaymentHash,
        entry: T,
        now: Timestamp,
    ) -> Result<(), T> {
        // Sweeps each time the table has doubled, so that the cost of one insertion does not grow.
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
    fn expired_entries_are_forgotten_and_no_others() {
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
