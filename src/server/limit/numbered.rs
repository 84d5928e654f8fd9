//! Free requests in a store: each is a record with a number, which one request alone can write.

use std::sync::{Arc, Mutex};

use super::day_counts::{DayCounts, DayLimits, Holder};
use crate::{
    clock::Timestamp,
    lock::lock,
    replay::{RecordKey, Records, StoreError, StoreErrorKind},
};

/// Returns whether records can be kept under a name: 1 to 32 printable ASCII characters.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
}

pub(super) const DAY_SECONDS: u64 = 24 * 3600;

/// The numbered free requests of one allowance, in a store.
#[derive(Clone, Debug)]
pub(super) struct NumberedRequests {
    pub(super) records: Arc<dyn Records>,
    /// Separates this allowance from others in the same store.
    pub(super) name: Box<str>,
}

impl NumberedRequests {
    /// Takes a number. Returns false if it was taken before.
    pub(super) async fn take(
        &self,
        day: u64,
        holder: Holder,
        number: u64,
    ) -> Result<bool, StoreError> {
        let key = self.key(day, holder, number)?;
        // A day longer than the day itself, because clocks differ and may be set back.
        let end = day.saturating_add(2).saturating_mul(DAY_SECONDS);
        let end = Timestamp::from_unix_seconds(end);
        self.records.put_if_absent(key, Vec::new(), end).await
    }

    /// Returns a number from `first` to `limit` below which all are likely taken. Numbers are taken
    /// in order, so it looks further and further ahead, and then halves the distance. Whatever it
    /// returns, only [`take`](Self::take) decides.
    pub(super) async fn first_free(
        &self,
        day: u64,
        holder: Holder,
        first: u64,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let (mut low, mut high, mut step) = (first, limit, Some(0));
        while low < high {
            let probe = match step {
                Some(step) => low.saturating_add(step).min(high - 1),
                None => low + (high - low) / 2,
            };
            let key = self.key(day, holder, probe)?;
            if self.records.get(key).await?.is_some() {
                low = probe + 1;
                step = step.map(|step| step * 2 + 1);
            } else {
                high = probe;
                step = None;
            }
        }
        Ok(low)
    }

    fn key(&self, day: u64, holder: Holder, number: u64) -> Result<RecordKey, StoreError> {
        let name = self.name.as_bytes();
        let (kind, address) = holder.address();
        // Every part has a fixed length, or one that an earlier part tells. So no two are alike.
        let length = [u8::try_from(name.len()).unwrap_or(u8::MAX), kind];
        let (day, number) = (day.to_be_bytes(), number.to_be_bytes());
        let key = [PREFIX, &length, name, &day, &address, &number].concat();
        RecordKey::new(&key).ok_or_else(|| {
            let why = "the name of a free allowance is too long";
            StoreError::new(StoreErrorKind::Unavailable, "the free allowance", why)
        })
    }
}

/// A free request that was taken in memory. If it is dropped, the numbers that are not recorded yet
/// are given back. Only one request can record a number, so that gives nothing away.
pub(super) struct Unrecorded<'a> {
    pub(super) counts: &'a Mutex<DayCounts>,
    pub(super) limits: DayLimits,
    pub(super) day: u64,
    /// The numbers to record, from the last to the first.
    pub(super) numbers: Vec<(Holder, u64)>,
}

impl Unrecorded<'_> {
    /// Records all numbers. Returns false if one of the holders has none left.
    pub(super) async fn record(&mut self, kept: &NumberedRequests) -> Result<bool, StoreError> {
        while let Some((holder, number)) = self.numbers.last().copied() {
            if kept.take(self.day, holder, number).await? {
                self.numbers.pop();
                continue;
            }
            let limit = holder.limit(self.limits);
            let first = kept.first_free(self.day, holder, number + 1, limit).await?;
            self.numbers.pop();
            let mut counts = lock(self.counts);
            if counts.day != self.day {
                return Ok(false);
            }
            match counts.take_from(holder, first, self.limits) {
                Some(number) => self.numbers.push((holder, number)),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl Drop for Unrecorded<'_> {
    fn drop(&mut self) {
        if self.numbers.is_empty() {
            return;
        }
        let mut counts = lock(self.counts);
        if counts.day == self.day {
            counts.records = counts.records.saturating_sub(self.numbers.len());
            for (holder, number) in self.numbers.drain(..) {
                counts.give_back(holder, number);
            }
        }
    }
}

const PREFIX: &[u8] = b"free/";
