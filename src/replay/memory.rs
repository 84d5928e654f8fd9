use std::{
    fmt,
    hash::BuildHasher,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard},
};

use super::{
    Consumption, ConsumptionKey, Durability, RecordKey, Records, ReleaseReason, ReplayStore,
    Serving, StoreError, StoreErrorKind, StoreId, UseId, UseRequest,
    created_at::created_at,
    state::{
        capacity::{Capacity, Keys, OutOfCapacity},
        payments::SpentPayments,
        records::{Record, RecordTable, check_value},
        serving::ServingUses,
    },
};
use crate::{
    boxed::BoxFuture,
    clock::{Clock, SystemClock, Timestamp},
    lock::lock,
};

/// A store in memory: fast, and gone with the process. Both a [`ReplayStore`] and a [`Records`].
///
/// Its memory is bounded. It never evicts a live key: a full store returns
/// [`StoreErrorKind::Full`]. Each call removes a few expired entries.
///
/// # After a restart
///
/// A new process has a new store with a new [`StoreId`] and a later
/// [`created_at`](ReplayStore::created_at). Keys for counted access are derived from that id.
/// Proofs without a key of this server must be for an invoice that is younger than the store. So
/// the requests that were sold before the restart are refused afterwards, spent or not. Only access
/// for a duration continues. Nobody is served twice, but clients that had paid and not redeemed
/// lose what they paid. Use this store for tests and test networks, and in production only if you
/// accept that loss.
///
/// ```
/// use tower_x402::replay::{
///     Consumption, ConsumptionKey, MemoryStore, ReplayStore, UseId, UseLimits, UseRequest,
/// };
/// # use std::{num::NonZeroU32, time::Duration};
/// # use tower_x402::{Network, Preimage, clock::{Clock, SystemClock}};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let payment_hash = Preimage::from_bytes([7; 32]).payment_hash();
/// let store = MemoryStore::new()?;
/// let key = ConsumptionKey::lightning(Network::Regtest, payment_hash);
/// let once = UseLimits::new(NonZeroU32::MIN, 0);
/// let until = SystemClock::new().now().saturating_add(Duration::from_secs(3600));
///
/// let first = UseRequest::new(key, UseId::random()?, once, until);
/// assert_eq!(store.consume(first).await?, Consumption::Granted { remaining: 0 });
/// let second = UseRequest::new(key, UseId::random()?, once, until);
/// assert_eq!(store.consume(second).await?, Consumption::Spent);
/// # Ok(())
/// # }
/// ```
pub struct MemoryStore {
    id: StoreId,
    created_at: Timestamp,
    clock: Arc<dyn Clock>,
    shards: Box<[Mutex<Shard>]>,
    hasher: std::hash::RandomState,
    records: Mutex<RecordTable>,
    keys: Keys,
    record_bytes: Capacity,
}

/// Some of the payments, and which of their uses are being served.
#[derive(Debug, Default)]
struct Shard {
    payments: SpentPayments,
    serving: ServingUses,
}

impl MemoryStore {
    /// Creates an empty store for 1,000,000 keys and 64 MiB of records.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Unavailable`] if the operating system has no randomness for the store's
    /// id.
    pub fn new() -> Result<Self, StoreError> {
        let clock = SystemClock::new();
        Ok(Self {
            id: StoreId::random()?,
            created_at: created_at(clock.now()).unwrap_or(Timestamp::MAX),
            clock: Arc::new(clock),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: std::hash::RandomState::new(),
            records: Mutex::default(),
            keys: Keys::new(KEYS),
            record_bytes: Capacity::new(RECORD_BYTES),
        })
    }

    /// Sets how many keys the store may hold, about 200 bytes each. A payment for several uses
    /// counts for up to five keys, and within ten minutes for one more with each use (1,024 at
    /// most).
    #[must_use]
    pub fn with_capacity(self, keys: NonZeroUsize) -> Self {
        Self {
            keys: Keys::new(keys.get()),
            ..self
        }
    }

    /// Sets how many bytes of records the store may hold.
    #[must_use]
    pub fn with_record_capacity(self, bytes: usize) -> Self {
        Self {
            record_bytes: Capacity::new(bytes),
            ..self
        }
    }

    /// Sets the clock, for tests. The store counts as made at that clock's present moment.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self {
            created_at: created_at(clock.now()).unwrap_or(Timestamp::MAX),
            clock: Arc::new(clock),
            ..self
        }
    }

    /// The shard of `key`.
    fn shard(&self, key: &ConsumptionKey) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(key) as usize;
        lock(&self.shards[hash % SHARDS])
    }
}

/// Shows nothing of what it holds: that may be a million keys.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl ReplayStore for MemoryStore {
    fn id(&self) -> StoreId {
        self.id
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        Box::pin(async move {
            let (key, now) = (request.key(), self.clock.now());
            let consume = || {
                let Shard { payments, serving } = &mut *self.shard(&key);
                let answer = payments.consume(&request, now, &self.keys, &mut ())?;
                Ok(serving.answer(&request, answer, now))
            };
            consume()
                .or_else(|OutOfCapacity| {
                    self.shards
                        .iter()
                        .for_each(|shard| lock(shard).payments.prune(now, &self.keys, &mut ()));
                    consume()
                })
                .map_err(full_of_keys)
        })
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        let now = self.clock.now();
        let Shard { payments, serving } = &mut *self.shard(&key);
        let _ = payments.release(key, use_id, why, now, &self.keys, &mut ());
        serving.end(&key, use_id);
    }

    fn durability(&self) -> Durability {
        Durability::Volatile
    }

    fn serving(&self) -> Option<&dyn Serving> {
        Some(self)
    }
}

impl Serving for MemoryStore {
    fn served(&self, key: ConsumptionKey, use_id: UseId) {
        self.shard(&key).serving.end(&key, use_id);
    }
}

impl Records for MemoryStore {
    fn put_if_absent(
        &self,
        key: RecordKey,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            check_value(&value, NAME)?;
            lock(&self.records)
                .put_if_absent(
                    &key,
                    Record { value, expires_at },
                    self.clock.now(),
                    &self.record_bytes,
                    &mut (),
                )
                .map_err(full_of_records)
        })
    }

    fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move { Ok(lock(&self.records).get(&key, self.clock.now())) })
    }

    fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            lock(&self.records).delete(&key, self.clock.now(), &self.record_bytes, &mut ());
            Ok(())
        })
    }

    fn scan(
        &self,
        prefix: RecordKey,
    ) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>> {
        Box::pin(async move { Ok(lock(&self.records).scan(&prefix, self.clock.now())) })
    }
}

fn full_of_keys(OutOfCapacity: OutOfCapacity) -> StoreError {
    StoreError::new(
        StoreErrorKind::Full,
        NAME,
        "no room for another key; `with_capacity` allows more",
    )
}

fn full_of_records(OutOfCapacity: OutOfCapacity) -> StoreError {
    StoreError::new(
        StoreErrorKind::Full,
        NAME,
        "no room for another record; `with_record_capacity` allows more",
    )
}

const NAME: &str = "the memory store";
const SHARDS: usize = 64;
const KEYS: usize = 1_000_000;
const RECORD_BYTES: usize = 64 << 20;
