use std::{fmt, sync::Arc};

use super::StoreError;
use crate::{boxed::BoxFuture, clock::Timestamp};

/// A store of small records that expire, such as [`Revocations`](super::Revocations) and free
/// requests that were taken.
///
/// # Contract
///
/// - Keys have at most 255 bytes ([`RecordKey`] ensures it) and values at most 64 KiB. A longer
///   value is an error.
/// - `put_if_absent` is one atomic step: of any number of concurrent calls for one key, exactly
///   one returns `true`.
/// - A record is there until its expiry, inclusive. After that its key is absent.
/// - A durable store answers after its record is safe from a loss of power.
/// - The store has a limit. If it is full, it returns an error, and never evicts a live record.
///
/// # How to write your own
///
/// This example is complete for one process. Test yours with `conformance::records` (feature
/// `conformance`), as the last lines do.
///
/// ```
/// use std::{collections::BTreeMap, sync::Mutex};
///
/// use tower_x402::{
///     clock::{Clock, Timestamp},
///     replay::{BoxFuture, RecordKey, Records, StoreError, StoreErrorKind},
/// };
///
/// #[derive(Debug)]
/// struct OneMutex<C> {
///     clock: C,
///     records: Mutex<Map>,
/// }
///
/// type Map = BTreeMap<RecordKey, (Vec<u8>, Timestamp)>;
///
/// impl<C: Clock> OneMutex<C> {
///     fn with_live<T>(&self, act: impl FnOnce(&mut Map) -> T) -> T {
///         let mut records = self.records.lock().expect("no holder panics");
///         let now = self.clock.now();
///         records.retain(|_, (_, expires_at)| now <= *expires_at);
///         act(&mut records)
///     }
/// }
///
/// impl<C: Clock> Records for OneMutex<C> {
///     fn put_if_absent(
///         &self,
///         key: RecordKey,
///         value: Vec<u8>,
///         expires_at: Timestamp,
///     ) -> BoxFuture<'_, Result<bool, StoreError>> {
///         Box::pin(async move {
///             self.with_live(|records| {
///                 if value.len() > 64 * 1024 || records.len() >= 10_000 {
///                     let (kind, name) = (StoreErrorKind::Full, "the records of one mutex");
///                     return Err(StoreError::new(kind, name, "at most 10,000 of 64 KiB"));
///                 }
///                 let absent = !records.contains_key(&key);
///                 records.entry(key).or_insert((value, expires_at));
///                 Ok(absent)
///             })
///         })
///     }
///
///     fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
///         let value = move |records: &mut Map| records.get(&key).map(|(value, _)| value.clone());
///         Box::pin(async move { Ok(self.with_live(value)) })
///     }
///
///     fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>> {
///         Box::pin(async move { Ok(self.with_live(|records| drop(records.remove(&key)))) })
///     }
///
///     fn scan(
///         &self,
///         prefix: RecordKey,
///     ) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>> {
///         Box::pin(async move {
///             Ok(self.with_live(|records| {
///                 records
///                     .iter()
///                     .filter(|(key, _)| key.as_bytes().starts_with(prefix.as_bytes()))
///                     .map(|(key, (value, _))| (key.clone(), value.clone()))
///                     .collect()
///             }))
///         })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use tower_x402::replay::conformance::{self, Setup};
///
/// let new = |setup: Setup| OneMutex { clock: setup.clock, records: Mutex::default() };
/// conformance::records(async |setup| new(setup), false).await;
/// # }
/// ```
pub trait Records: fmt::Debug + Send + Sync + 'static {
    /// Writes a record if its key is absent, and returns whether it did. The record is there until
    /// `expires_at`, inclusive.
    fn put_if_absent(
        &self,
        key: RecordKey,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Returns the value of a record, or `None` if its key is absent.
    fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;

    /// Removes a record, if there is one.
    fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Returns all records whose keys start with `prefix`, in the order of their keys.
    #[expect(clippy::type_complexity, reason = "an alias would hide what it is")]
    fn scan(
        &self,
        prefix: RecordKey,
    ) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>>;
}

impl<T: Records + ?Sized> Records for Arc<T> {
    fn put_if_absent(
        &self,
        key: RecordKey,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        (**self).put_if_absent(key, value, expires_at)
    }

    fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        (**self).get(key)
    }

    fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).delete(key)
    }

    fn scan(
        &self,
        prefix: RecordKey,
    ) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>> {
        (**self).scan(prefix)
    }
}

/// The key of a record: up to 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey(Box<[u8]>);

impl RecordKey {
    /// Creates a key. Returns `None` for more than 255 bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= 255).then(|| Self(bytes.into()))
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Returns the least name above all that begin with `prefix`, if there is one.
#[cfg(any(feature = "replay-postgres", feature = "replay-redis"))]
pub(super) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::RecordKey;

    #[test]
    fn a_key_has_at_most_255_bytes() {
        assert_eq!(
            RecordKey::new(&[7; 255]).map(|key| key.as_bytes().len()),
            Some(255)
        );
        assert_eq!(RecordKey::new(&[7; 256]), None);
    }
}
