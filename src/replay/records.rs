use std::{fmt, sync::Arc};

use super::StoreError;
use crate::{clock::Timestamp, lightning::BoxFuture};

/// Keeps small records with an expiry: what was revoked.
///
/// # Contract
///
/// - Keys are at most 255 bytes ([`RecordKey`] ensures it), values at most 64 KiB; a longer value is an error.
/// - `put_if_absent` is one atomic step: of any number of concurrent calls for one key, exactly one answers `true`.
/// - A record is gone once its expiry has passed; its key is then absent.
/// - A durable store answers after its record is safe from a loss of power.
pub trait Records: fmt::Debug + Send + Sync + 'static {
    /// Writes a record where there is none, and answers whether it did.
    fn put_if_absent(&self, key: RecordKey, value: Vec<u8>, expires_at: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Reads a record.
    fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;

    /// Removes a record; no matter whether there was one.
    fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>>;

    /// All records whose keys start with `prefix`, in order of their keys.
    #[allow(clippy::type_complexity, reason = "the signature is the documentation")]
    fn scan(&self, prefix: RecordKey) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>>;
}

impl<T: Records + ?Sized> Records for Arc<T> {
    fn put_if_absent(&self, key: RecordKey, value: Vec<u8>, expires_at: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
        (**self).put_if_absent(key, value, expires_at)
    }

    fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        (**self).get(key)
    }

    fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).delete(key)
    }

    fn scan(&self, prefix: RecordKey) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>> {
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
