//! Which bucket a payment or a record is in, and which slot of a cluster a bucket is in.

use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use super::fault::unavailable;
use crate::replay::StoreError;

/// How many buckets a store has. It never changes: the place of a payment depends on it.
pub(super) const BUCKETS: u16 = 1_024;

/// How many buckets are asked at a time.
const AT_ONCE: usize = 64;

/// Asks each bucket, some at a time, and hands on the answers. Ends at the first error.
pub(super) async fn ask_each<T, F>(
    ask: impl Fn(u16) -> F,
    mut take: impl FnMut(T) -> Result<(), StoreError>,
) -> Result<(), StoreError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    let (mut buckets, mut asked) = (0..BUCKETS, JoinSet::new());
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

    /// Stores hold payments in these buckets.
    #[test]
    fn a_payment_stays_in_its_bucket() {
        assert_eq!(
            [
                bucket_of(&[0; 33]),
                bucket_of(&[7; 33]),
                bucket_of(b"revoked/")
            ],
            [924, 258, 726]
        );
        assert_eq!(tag("x402", 7), "x402/7");
    }
}
