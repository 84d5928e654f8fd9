use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{RecordKey, Records, StoreError};
use crate::{
    lock,
    {clock::Timestamp, payment::PaymentHash},
};

/// Payments whose credentials are refused from now on, whatever they were sold for.
///
/// They are kept in a [`Records`] and held in memory: [`contains`](Self::contains) reads memory
/// alone. Another process that shares the records learns of a revocation at its next
/// [`refresh`](Self::refresh). Clones share one memory. The capacity of the records limits how many
/// revocations there are.
#[derive(Clone)]
pub struct Revocations {
    records: Arc<dyn Records>,
    known: Arc<RwLock<KnownRevocations>>,
    numbers: Arc<AtomicU64>,
}

#[derive(Default)]
struct KnownRevocations {
    states: HashMap<PaymentHash, RevocationState>,
    /// How many of them are [`RevocationState::Unrecorded`]. No record limits these.
    unrecorded: usize,
}

const MOST_UNRECORDED: usize = 100_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum RevocationState {
    /// Its record is written. The number differs each time that this is noted.
    Recorded(u64),
    /// Its record is being written, or could not be written.
    Unrecorded,
}

impl Revocations {
    /// Reads the revocations that are kept in `records`.
    ///
    /// # Errors
    ///
    /// If the records cannot be read.
    pub async fn load(records: impl Records) -> Result<Self, StoreError> {
        let revocations = Self {
            records: Arc::new(records),
            known: Arc::default(),
            numbers: Arc::default(),
        };
        revocations.refresh().await?;
        Ok(revocations)
    }

    /// Reads the records again: learns what other processes revoked, and forgets what expired.
    ///
    /// # Errors
    ///
    /// If the records cannot be read. What was known stays known.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let recorded = self.recorded();
        let Some(prefix) = RecordKey::new(PREFIX) else {
            return Ok(());
        };
        let found = self.records.scan(prefix).await?;
        let mut known = lock::write(&self.known);
        // What was revoked while the records were read is not among those found.
        known
            .states
            .retain(|hash, state| recorded.get(hash) != Some(state));
        for hash in found.iter().filter_map(|(key, _)| payment_hash(key)) {
            known
                .states
                .entry(hash)
                .or_insert_with(|| self.number_recorded());
        }
        Ok(())
    }

    /// Revokes a payment until `until`, at once in this process. If one of its credentials expires
    /// later, that credential may be accepted again after `until`. [`Timestamp::MAX`] revokes the
    /// payment permanently.
    ///
    /// # Errors
    ///
    /// If the record cannot be written. This process still refuses the payment until the process
    /// ends, unless 100,000 others have no record either. Call this again to write the record.
    pub async fn revoke(
        &self,
        payment_hash: PaymentHash,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        self.note(payment_hash, RevocationState::Unrecorded);
        let Some(key) = record_key(payment_hash, until) else {
            return Ok(());
        };
        self.records.put_if_absent(key, Vec::new(), until).await?;
        self.note(payment_hash, self.number_recorded());
        Ok(())
    }

    /// Returns whether a payment is revoked. Reads memory only.
    #[must_use]
    pub fn contains(&self, payment_hash: &PaymentHash) -> bool {
        lock::read(&self.known).states.contains_key(payment_hash)
    }

    fn note(&self, payment_hash: PaymentHash, state: RevocationState) {
        lock::write(&self.known).note(payment_hash, state, MOST_UNRECORDED);
    }

    fn number_recorded(&self) -> RevocationState {
        RevocationState::Recorded(self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    fn recorded(&self) -> HashMap<PaymentHash, RevocationState> {
        let known = lock::read(&self.known);
        known
            .states
            .iter()
            .filter(|(_, state)| matches!(state, RevocationState::Recorded(_)))
            .map(|(hash, state)| (*hash, *state))
            .collect()
    }
}

impl KnownRevocations {
    /// Leaves out a new one without a record if there are `most` of these.
    fn note(&mut self, payment_hash: PaymentHash, state: RevocationState, most: usize) {
        let before = self.states.get(&payment_hash);
        let was_unrecorded = before == Some(&RevocationState::Unrecorded);
        let is_unrecorded = state == RevocationState::Unrecorded;
        if is_unrecorded && before.is_none() && self.unrecorded >= most {
            return;
        }
        self.states.insert(payment_hash, state);
        self.unrecorded += usize::from(is_unrecorded);
        self.unrecorded -= usize::from(was_unrecorded);
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

/// The end is part of the key, so that a later end gets a record of its own.
fn record_key(payment_hash: PaymentHash, until: Timestamp) -> Option<RecordKey> {
    RecordKey::new(
        &[
            PREFIX,
            payment_hash.as_bytes(),
            &until.as_unix_seconds().to_be_bytes(),
        ]
        .concat(),
    )
}

fn payment_hash(key: &RecordKey) -> Option<PaymentHash> {
    let (hash, _) = key.as_bytes().strip_prefix(PREFIX)?.split_first_chunk()?;
    Some(PaymentHash::from_bytes(*hash))
}

const PREFIX: &[u8] = b"revoked/";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{boxed::BoxFuture, clock::TestClock, replay::MemoryStore};

    #[tokio::test]
    async fn a_revocation_is_seen_at_once_here_and_elsewhere_after_a_refresh() {
        let clock = TestClock::at(Timestamp::from_unix_seconds(1_000));
        let records = Arc::new(MemoryStore::new().unwrap().with_clock(clock.clone()));
        let here = Revocations::load(records.clone()).await.unwrap();
        let elsewhere = Revocations::load(records.clone()).await.unwrap();
        let hash = PaymentHash::from_bytes([7; 32]);
        here.revoke(hash, Timestamp::from_unix_seconds(1_500))
            .await
            .unwrap();
        here.revoke(hash, Timestamp::from_unix_seconds(2_000))
            .await
            .unwrap();
        assert!(here.contains(&hash) && !elsewhere.contains(&hash));
        elsewhere.refresh().await.unwrap();
        assert!(
            elsewhere.contains(&hash) && !elsewhere.contains(&PaymentHash::from_bytes([8; 32]))
        );
        assert!(Revocations::load(records).await.unwrap().contains(&hash));
        clock.advance(Duration::from_secs(1_000));
        elsewhere.refresh().await.unwrap();
        assert!(elsewhere.contains(&hash));
        clock.advance(Duration::from_secs(1));
        elsewhere.refresh().await.unwrap();
        assert!(!elsewhere.contains(&hash));
    }

    #[tokio::test]
    async fn a_revocation_here_ends_with_its_record() {
        let clock = TestClock::at(Timestamp::from_unix_seconds(1_000));
        let records = Arc::new(MemoryStore::new().unwrap().with_clock(clock.clone()));
        let here = Revocations::load(records).await.unwrap();
        let hash = PaymentHash::from_bytes([7; 32]);
        here.revoke(hash, Timestamp::from_unix_seconds(1_500))
            .await
            .unwrap();
        here.refresh().await.unwrap();
        assert!(here.contains(&hash));
        clock.advance(Duration::from_secs(501));
        here.refresh().await.unwrap();
        assert!(!here.contains(&hash));
    }

    #[tokio::test]
    async fn a_revocation_that_could_not_be_recorded_stays_in_this_process() {
        let full = Arc::new(MemoryStore::new().unwrap().with_record_capacity(1));
        let here = Revocations::load(full).await.unwrap();
        let hash = PaymentHash::from_bytes([7; 32]);
        here.revoke(hash, Timestamp::MAX).await.unwrap_err();
        assert!(here.contains(&hash));
        here.refresh().await.unwrap();
        assert!(here.contains(&hash));
    }

    #[test]
    fn revocations_without_a_record_are_limited_and_those_with_one_are_not() {
        let mut known = KnownRevocations::default();
        let hash = |number| PaymentHash::from_bytes([number; 32]);
        let unrecorded = RevocationState::Unrecorded;
        for number in [1, 2, 2, 3] {
            known.note(hash(number), unrecorded, 2);
        }
        known.note(hash(4), RevocationState::Recorded(4), 2);
        let knows = |known: &KnownRevocations| {
            [1, 2, 3, 4, 5].map(|number| known.states.contains_key(&hash(number)))
        };
        assert_eq!(knows(&known), [true, true, false, true, false]);
        known.note(hash(2), RevocationState::Recorded(2), 2);
        known.note(hash(3), unrecorded, 2);
        known.note(hash(5), unrecorded, 2);
        assert_eq!(knows(&known), [true, true, true, true, false]);
        known.note(hash(4), unrecorded, 2);
        assert_eq!(known.unrecorded, 3, "a revoked payment stays revoked");
    }

    /// Records that revoke a payment after they were read and before the reader is answered.
    #[derive(Debug)]
    struct Interrupted {
        inner: MemoryStore,
        revoking: std::sync::Mutex<Option<(Revocations, PaymentHash)>>,
    }

    impl Records for Interrupted {
        fn put_if_absent(
            &self,
            key: RecordKey,
            value: Vec<u8>,
            end: Timestamp,
        ) -> BoxFuture<'_, Result<bool, StoreError>> {
            self.inner.put_if_absent(key, value, end)
        }

        fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
            self.inner.get(key)
        }

        fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>> {
            self.inner.delete(key)
        }

        fn scan(
            &self,
            prefix: RecordKey,
        ) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>> {
            Box::pin(async move {
                let found = self.inner.scan(prefix).await?;
                let revoking = self.revoking.lock().unwrap().take();
                if let Some((revocations, hash)) = revoking {
                    revocations.revoke(hash, Timestamp::MAX).await?;
                }
                Ok(found)
            })
        }
    }

    #[tokio::test]
    async fn a_revocation_while_the_records_are_read_is_not_lost() {
        let records = Arc::new(Interrupted {
            inner: MemoryStore::new().unwrap(),
            revoking: std::sync::Mutex::default(),
        });
        let here = Revocations::load(records.clone()).await.unwrap();
        let hash = PaymentHash::from_bytes([7; 32]);
        *records.revoking.lock().unwrap() = Some((here.clone(), hash));
        here.refresh().await.unwrap();
        assert!(here.contains(&hash));
        here.refresh().await.unwrap();
        assert!(here.contains(&hash));
    }

    #[tokio::test]
    async fn a_revocation_that_is_renewed_while_the_records_are_read_is_not_lost() {
        let clock = TestClock::at(Timestamp::from_unix_seconds(1_000));
        let records = Arc::new(Interrupted {
            inner: MemoryStore::new().unwrap().with_clock(clock.clone()),
            revoking: std::sync::Mutex::default(),
        });
        let here = Revocations::load(records.clone()).await.unwrap();
        let hash = PaymentHash::from_bytes([7; 32]);
        let until = Timestamp::from_unix_seconds(1_500);
        here.revoke(hash, until).await.unwrap();
        clock.advance(Duration::from_secs(501));
        *records.revoking.lock().unwrap() = Some((here.clone(), hash));
        here.refresh().await.unwrap();
        assert!(here.contains(&hash));
    }
}
