//! What one group of callers changes.

use fjall::Slice;
use sha2::{Digest, Sha256};

/// Changes of records that are written together. A record that changed twice is written once, with
/// its last value.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    records: Vec<(Slice, Option<Slice>)>,
    tally: Tally,
}

impl Batch {
    pub(super) fn with_capacity(records: usize) -> Self {
        Self {
            records: Vec::with_capacity(records),
            tally: Tally::default(),
        }
    }

    /// Notes that the value of `key`, which was `old`, is now `new`. `None` means no record.
    pub(crate) fn change(&mut self, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        if let Some(old) = old {
            self.tally.remove(key, old);
        }
        if let Some(new) = new {
            self.tally.add(key, new);
        }
        self.records.push((key.into(), new.map(Into::into)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) const fn tally(&self) -> Tally {
        self.tally
    }

    /// Returns each key once, with its last value: of two values that are written together, the
    /// engine would keep either one.
    pub(super) fn into_records(mut self) -> Vec<(Slice, Option<Slice>)> {
        self.records.reverse();
        self.records.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.records.dedup_by(|(one, _), (other, _)| one == other);
        self.records
    }
}

/// The number of records and the sum of their hashes. It does not depend on their order. A record
/// that is lost, stale or altered changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) sum: u128,
}

impl Tally {
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(digest(key, value));
    }

    fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(digest(key, value));
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            count: self.count.wrapping_add(other.count),
            sum: self.sum.wrapping_add(other.sum),
        }
    }
}

pub(super) fn digest(key: &[u8], value: &[u8]) -> u128 {
    let hash = Sha256::new()
        .chain_update((key.len() as u64).to_le_bytes())
        .chain_update(key)
        .chain_update(value)
        .finalize();
    let mut first = [0; 16];
    first.copy_from_slice(&hash[..16]);
    u128::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tally_depends_only_on_the_records_that_remain() {
        let mut batch = Batch::default();
        batch.change(b"a", None, Some(b"1"));
        batch.change(b"b", None, Some(b"1"));
        batch.change(b"a", Some(b"1"), Some(b"2"));
        batch.change(b"b", Some(b"1"), None);
        let mut direct = Tally::default();
        direct.add(b"a", b"2");
        assert_eq!(batch.tally(), direct);
        let records = batch.into_records();
        let records: Vec<_> = records
            .iter()
            .map(|(key, value)| (&**key, value.as_deref()))
            .collect();
        assert_eq!(records, [(&b"a"[..], Some(&b"2"[..])), (b"b", None)]);
    }

    #[test]
    fn a_digest_depends_on_the_end_of_the_key() {
        assert_ne!(digest(b"ab", b"c"), digest(b"a", b"bc"));
    }
}
