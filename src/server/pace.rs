//! How often something costly may be done for one payment and for one client.

use std::{
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{address::ClientKey, recent::Recent};
use crate::payment::PaymentHash;

/// Keys that are told apart. Of the oldest beyond it nothing is known.
const KEYS: usize = 16_384;

/// The pace of something that requests with a credential cause. Clients that cannot be told apart have no pace of their own.
#[derive(Debug)]
pub(super) struct Pace {
    by_payment: Buckets<PaymentHash>,
    by_client: Buckets<ClientKey>,
}

/// It was done too often. After this long it may be done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooOften(pub(super) Duration);

impl Pace {
    /// For each: how often at once, and after how long once more.
    pub(super) fn new(payment: (u32, Duration), client: (u32, Duration)) -> Self {
        Self { by_payment: Buckets::new(payment), by_client: Buckets::new(client) }
    }

    /// Counts one time for both, or for neither.
    pub(super) fn take(&self, payment_hash: PaymentHash, client: ClientKey) -> Result<(), TooOften> {
        let now = Instant::now();
        self.by_payment.take(payment_hash, now)?;
        if client == ClientKey::Unknown {
            return Ok(());
        }
        self.by_client.take(client, now).inspect_err(|_| self.by_payment.give_back(payment_hash))
    }

    /// It came to something good: it does not count for the client.
    pub(super) fn succeeded(&self, client: ClientKey) {
        self.by_client.give_back(client);
    }
}

#[derive(Debug)]
struct Buckets<K> {
    at_once: u32,
    every: Duration,
    /// When the bucket of a key is full again.
    full_at: Mutex<Recent<K, Option<Instant>>>,
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    fn new((at_once, every): (u32, Duration)) -> Self {
        Self { at_once, every, full_at: Mutex::new(Recent::new(KEYS)) }
    }

    fn take(&self, key: K, now: Instant) -> Result<(), TooOften> {
        let mut recent = self.lock();
        let full_at = recent.entry(key);
        let next = full_at.map_or(now, |at| at.max(now)) + self.every;
        let wait = next.duration_since(now).saturating_sub(self.every * self.at_once);
        if !wait.is_zero() {
            return Err(TooOften(wait));
        }
        *full_at = Some(next);
        Ok(())
    }

    fn give_back(&self, key: K) {
        if let Some(at) = self.lock().get_mut(&key).and_then(Option::as_mut) {
            *at = at.checked_sub(self.every).unwrap_or(*at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recent<K, Option<Instant>>> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_payment_and_a_client_each_have_a_pace() {
        let pace = Pace::new((2, SECOND), (3, 10 * SECOND));
        let (a, b) = (PaymentHash::from_bytes([1; 32]), PaymentHash::from_bytes([2; 32]));
        let client = ClientKey::V6([1; 8]);
        for _ in 0..2 {
            assert_eq!(pace.take(a, client), Ok(()));
        }
        assert_eq!(pace.take(a, client), Err(TooOften(SECOND)));
        assert_eq!(pace.take(b, client), Ok(()));
        assert_eq!(pace.take(b, client), Err(TooOften(10 * SECOND)), "the client has used up its own");
        assert_eq!(pace.take(b, ClientKey::Unknown), Ok(()), "what the client was refused has counted for the payment");
        pace.succeeded(client);
        tokio::time::advance(SECOND).await;
        assert_eq!(pace.take(a, client), Ok(()));
        assert!(pace.take(a, ClientKey::Unknown).is_err());
    }
}
