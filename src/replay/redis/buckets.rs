//! Which bucket a payment or a record is in, and which slot of a cluster a bucket is in.

use std::ops::Range;

use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use super::fault::unavailable;
use crate::replay::StoreError;

/// Which buckets hold the payments of a store. A store keeps its layout for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Those of the records. So a cluster can spread them over its servers.
    Spread,
    /// One more bucket, which holds all. So one script takes the uses of many payments.
    Together,
}

impl Layout {
    /// Returns all buckets of a store.
    pub(super) const fn buckets(self) -> Range<u16> {
        0..self.payments().end
    }

    /// Returns the buckets in which payments are.
    pub(super) const fn payments(self) -> Range<u16> {
        match self {
            Self::Spread => 0..BUCKETS,
            Self::Together => BUCKETS..MOST_BUCKETS,
        }
    }

    /// Returns the bucket of a payment. It is the same for all processes and for ever.
    pub(super) fn of_payment(self, key: &[u8]) -> u16 {
        match self {
            Self::Spread => bucket_of(key),
            Self::Together => BUCKETS,
        }
    }
}

/// Returns how many marks a bucket keeps: in all, a store keeps as many in either layout.
pub(super) const fn marks_of(bucket: u16) -> u32 {
    if bucket < BUCKETS {
        64
    } else {
        64 * BUCKETS as u32
    }
}

/// In how many buckets records are. It never changes: the place of a record depends on it.
pub(super) const BUCKETS: u16 = 1_024;
/// How many buckets a store has at most.
pub(super) const MOST_BUCKETS: u16 = BUCKETS + 1;

/// How many buckets are asked at a time.
const AT_ONCE: usize = 64;

/// Asks each of these buckets, some at a time, and hands on the answers. Ends at the first error.
pub(super) async fn ask_each<T, F>(
    mut buckets: Range<u16>,
    ask: impl Fn(u16) -> F,
    mut take: impl FnMut(T) -> Result<(), StoreError>,
) -> Result<(), StoreError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    let mut asked = JoinSet::new();
    loop {
        while asked.len() < AT_ONCE
            && let Some(bucket) = buckets.next()
        {
            asked.spawn(ask(bucket));
        }
        let Some(answer) = asked.join_next().await else {
            return Ok(());
        };
        take(answer.map_err(|_| unavailable("the runtime has ended"))??)?;
    }
}

/// Returns the bucket of a key. It is the same for all processes and for ever.
pub(super) fn bucket_of(key: &[u8]) -> u16 {
    let digest = Sha256::digest(key);
    u16::from_be_bytes([digest[0], digest[1]]) % BUCKETS
}

/// Returns the tag of a bucket's keys.
pub(super) fn tag(name: &str, bucket: u16) -> String {
    format!("{name}/{bucket}")
}

/// Returns the slot of a tag: Redis Cluster specification, "Key distribution model".
pub(super) fn slot(tag: &str) -> u16 {
    let mut crc = 0_u16;
    for byte in tag.bytes() {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            let carry = crc & 0x8000 != 0;
            crc = (crc << 1) ^ if carry { 0x1021 } else { 0 };
        }
    }
    crc % SLOTS
}

/// How many slots every cluster has.
pub(super) const SLOTS: u16 = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_the_checksum_that_the_specification_shows() {
        assert_eq!(slot("123456789"), 0x31c3);
        assert_eq!(slot("foo"), 12_182);
    }

    /// Stores hold payments and records in these buckets.
    #[test]
    fn what_is_stored_stays_in_its_bucket() {
        assert_eq!(
            [
                bucket_of(&[0; 33]),
                bucket_of(&[7; 33]),
                bucket_of(b"revoked/")
            ],
            [924, 258, 726]
        );
        assert_eq!(Layout::Spread.of_payment(&[7; 33]), 258);
        assert_eq!(Layout::Together.of_payment(&[7; 33]), 1_024);
        assert_eq!(tag("x402", 7), "x402/7");
    }
}
