use std::{fmt, sync::Arc};

use super::StoreError;
use crate::{boxed::BoxFuture, clock::Timestamp};

/// Keeps small records with an expiry: what was revoked.
///
/// # Contract
///
/// - Keys are at most 255 bytes ([`RecordKey`] ensures it), values at most 64 KiB; a longer value
///   is an error.
/// - `put_if_absent` is one atomic step: of any number of concurrent calls for one key, exactly
///   one answers `true`.
/// - A record is gone once its expiry has passed; its key is then absent.
/// - A durable store answers after its record is safe from a loss of power.
/// - What is held is bounded: where there is no room, writing is an error, and no live record goes.
///
/// # How to write your own
///
/// Complete, as far as one process goes.
/// [`conformance::records`](crate::replay::conformance::records) (feature `conformance`) says
/// whether yours is right.
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
///     records: Mutex<BTreeMap<RecordKey, (Vec<u8>, Timestamp)>>,
/// }
///
/// impl<C: Clock> OneMutex<C> {
///     fn with_live<T>(&self, ask: impl FnOnce(&mut BTreeMap<RecordKey, (Vec<u8>, Timestamp)>) -> T) -> T {
///         let mut records = self.records.lock().expect("no holder panics");
///         let now = self.clock.now();
///         records.retain(|_, (_, expires_at)| now <= *expires_at);
///         ask(&mut records)
///     }
/// }
///
/// impl<C: Clock> Records for OneMutex<C> {
///     fn put_if_absent(&self, key: RecordKey, value: Vec<u8>, expires_at: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
///         Box::pin(async move {
///             self.with_live(|records| {
///                 if value.len() > 64 * 1024 || records.len() >= 10_000 {
///                     return Err(StoreError::new(StoreErrorKind::Full, "the records of one mutex", "at most 10,000 of 64 KiB"));
///                 }
///                 let absent = !records.contains_key(&key);
///                 records.entry(key).or_insert((value, expires_at));
///                 Ok(absent)
///             })
///         })
///     }
///
///     fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
///         Box::pin(async move { Ok(self.with_live(|records| records.get(&key).map(|(value, _)| value.clone()))) })
///     }
///
///     fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>> {
///         Box::pin(async move { Ok(self.with_live(|records| drop(records.remove(&key)))) })
///     }
///
///     fn scan(&self, prefix: RecordKey) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>> {
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
/// let open = async |setup: tower_x402::replay::conformance::Setup| OneMutex { clock: setup.clock, records: Mutex::default() };
/// tower_x402::replay::conformance::records(open, false).await;
/// # }
/// ```
pub trait Records: fmt::Debug + Send + Sync + 'static {
    /// Writes a record where there is none, and answers whether it did.
    fn put_if_absent(
        &self,
        key: RecordKey,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Reads a record.
    fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;

    /// Removes a record; no matter whether there was one.
    fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>>;

    /// All records whose keys start with `prefix`, in order of their keys.
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

/// The name of a record: up to 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey(Box<[u8]>);

impl RecordKey {
    /// From its bytes; `None` where they are more than 255.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= 255).then(|| Self(bytes.into()))
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
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
