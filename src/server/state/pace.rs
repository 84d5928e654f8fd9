//! Limits how often something costly is done for one payment, one client and one network.

use std::{
    hash::Hash,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    lock,
    payment::PaymentHash,
    recent::Recent,
    server::address::{Block, ClientKey},
};

/// How many keys are counted. Beyond that the oldest is forgotten.
const KEYS: usize = 16_384;

/// How many times at once, and after how long one more.
type Often = (u32, Duration);

/// The pace of something that requests with a credential cause. Clients without a known address
/// have no pace of their own.
#[derive(Debug)]
pub(in crate::server) struct Pace {
    by_payment: Buckets<PaymentHash>,
    by_client: Buckets<PaceKey>,
    /// For the first time of each payment, if that is counted separately.
    firsts_by_client: Option<Buckets<PaceKey>>,
}

/// A client, or a network that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum PaceKey {
    Client(ClientKey),
    Block(Block),
}

/// A refusal, with the time until it is allowed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct TooOften(pub(in crate::server) Duration);

/// One time that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct Taken {
    is_first: bool,
}

impl Pace {
    /// Creates a pace for each payment and each client. IPv6 networks of 56 and 48 bits have the
    /// pace of four and of sixteen clients.
    pub(in crate::server) fn new(payment: Often, client: Often) -> Self {
        Self {
            by_payment: Buckets::new(payment),
            by_client: Buckets::new(client),
            firsts_by_client: None,
        }
    }

    /// Counts the first time of each payment separately, with this pace for each client. So a
    /// client that repeats the same payments takes nothing from others at the same address.
    pub(in crate::server) fn with_firsts(mut self, client: Often) -> Self {
        self.firsts_by_client = Some(Buckets::new(client));
        self
    }

    /// Counts one time for the payment, the client and its networks. If one of them refuses, none
    /// is counted.
    pub(in crate::server) fn take(
        &self,
        payment_hash: PaymentHash,
        client: ClientKey,
    ) -> Result<Taken, TooOften> {
        let now = Instant::now();
        let taken = Taken {
            is_first: self.by_payment.take(payment_hash, 1, now)?,
        };
        let buckets = self.buckets(taken);
        for (before, key) in pace_keys(client).enumerate() {
            if let Err(too_often) = buckets.take(key, key.clients(), now) {
                pace_keys(client)
                    .take(before)
                    .for_each(|key| buckets.give_back(key, key.clients()));
                match taken.is_first {
                    true => self.by_payment.forget(payment_hash),
                    false => self.by_payment.give_back(payment_hash, 1),
                }
                return Err(too_often);
            }
        }
        Ok(taken)
    }

    /// Uncounts one time for the client, because it succeeded.
    pub(in crate::server) fn succeeded(&self, client: ClientKey, taken: Taken) {
        let buckets = self.buckets(taken);
        pace_keys(client).for_each(|key| buckets.give_back(key, key.clients()));
    }

    fn buckets(&self, taken: Taken) -> &Buckets<PaceKey> {
        self.firsts_by_client
            .as_ref()
            .filter(|_| taken.is_first)
            .unwrap_or(&self.by_client)
    }
}

/// Returns the keys to count, the widest network first: if it refuses, no keys are added for what
/// is inside it.
fn pace_keys(client: ClientKey) -> impl Iterator<Item = PaceKey> {
    let mut blocks = client.blocks().map(PaceKey::Block);
    let (narrow, wide) = (blocks.next(), blocks.next());
    let client = (client != ClientKey::Unknown).then_some(PaceKey::Client(client));
    [wide, narrow, client].into_iter().flatten()
}

impl PaceKey {
    /// Returns how many clients' pace it gets.
    fn clients(self) -> u32 {
        match self {
            Self::Client(_) => 1,
            Self::Block(block) => u32::try_from(block.clients()).unwrap_or(1),
        }
    }
}

#[derive(Debug)]
struct Buckets<K> {
    at_once: u32,
    every: Duration,
    /// When the bucket of a key is full again. `None` before its first time.
    full_at: Mutex<Recent<K, Option<Instant>>>,
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    fn new((at_once, every): Often) -> Self {
        Self {
            at_once,
            every,
            full_at: Mutex::new(Recent::new(KEYS)),
        }
    }

    /// Counts one time for a key with this many clients' pace. Returns whether it is the first.
    fn take(&self, key: K, many: u32, now: Instant) -> Result<bool, TooOften> {
        let mut recent = self.lock();
        let full_at = recent.entry(key);
        let next = full_at.map_or(now, |at| at.max(now)) + self.every / many;
        let wait = next
            .duration_since(now)
            .saturating_sub(self.every * self.at_once);
        if !wait.is_zero() {
            return Err(TooOften(wait));
        }
        Ok(full_at.replace(next).is_none())
    }

    fn give_back(&self, key: K, many: u32) {
        if let Some(at) = self.lock().get_mut(&key).and_then(Option::as_mut) {
            *at = at.checked_sub(self.every / many).unwrap_or(*at);
        }
    }

    fn forget(&self, key: K) {
        if let Some(at) = self.lock().get_mut(&key) {
            *at = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recent<K, Option<Instant>>> {
        lock::lock(&self.full_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const CLIENT: ClientKey = ClientKey::V6([1; 8]);

    fn hash(n: u32) -> PaymentHash {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        PaymentHash::from_bytes(bytes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_payment_and_a_client_each_have_a_pace() {
        let pace = Pace::new((2, SECOND), (3, 10 * SECOND));
        let first = pace.take(hash(1), CLIENT).unwrap();
        assert!(pace.take(hash(1), CLIENT).is_ok());
        assert_eq!(pace.take(hash(1), CLIENT), Err(TooOften(SECOND)));
        assert!(pace.take(hash(2), CLIENT).is_ok());
        assert_eq!(
            pace.take(hash(2), CLIENT),
            Err(TooOften(10 * SECOND)),
            "the client has used up its own"
        );
        assert!(
            pace.take(hash(2), ClientKey::Unknown).is_ok(),
            "what the client was refused has counted for the payment"
        );
        pace.succeeded(CLIENT, first);
        tokio::time::advance(SECOND).await;
        assert!(pace.take(hash(1), CLIENT).is_ok());
        assert!(pace.take(hash(1), ClientKey::Unknown).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_networks_of_one_household_or_site_share_a_pace() {
        let pace = Pace::new((1, SECOND), (3, SECOND));
        let network = |n: u32| ClientKey::V6([1, 1, 1, 1, 1, 1, (n >> 8) as u8, n as u8]);
        let taken = |networks: std::ops::Range<u32>| {
            let pace = &pace;
            let each = networks.flat_map(|n| {
                (0..9).map(move |time| pace.take(hash(9 * n + time), network(n)).is_ok())
            });
            each.filter(|is_taken| *is_taken).count()
        };
        assert_eq!(taken(0..1), 3);
        assert_eq!(taken(1..256), 9, "four clients' worth for 56 bits");
        assert_eq!(taken(256..4_096), 36, "sixteen clients' worth for 48 bits");
        assert_eq!(
            pace.take(hash(u32::MAX), ClientKey::V6([2; 8])).map(drop),
            Ok(())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_time_of_a_payment_counts_apart_until_it_was_done() {
        let pace = Pace::new((9, SECOND), (2, SECOND)).with_firsts((3, SECOND));
        assert!(pace.take(hash(1), CLIENT).is_ok());
        let again = (0..9)
            .filter(|_| pace.take(hash(1), CLIENT).is_ok())
            .count();
        assert_eq!(again, 2);
        let others: Vec<_> = (2..9).map(|n| pace.take(hash(n), CLIENT)).collect();
        assert_eq!(others.iter().filter(|taken| taken.is_ok()).count(), 2);
        pace.succeeded(CLIENT, others[0].unwrap());
        assert!(
            pace.take(hash(8), CLIENT).is_ok(),
            "it was refused before: this is its first time"
        );
    }
}
