use std::{collections::BTreeMap, time::Duration};

use crate::clock::Timestamp;

/// What was spent in the last `length` seconds, in msat.
///
/// Time is cut into buckets. A bucket counts as long as any moment of it is in the window, so a sum
/// is never too low, and too high for a sixtieth of the length at most.
#[derive(Clone, Debug)]
pub(super) struct Window {
    length: u64,
    width: u64,
    buckets: BTreeMap<u64, u128>,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        let length = length.as_secs().max(1);
        Self {
            length,
            width: length.div_ceil(BUCKETS),
            buckets: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, at: Timestamp, msat: u128) {
        *self.buckets.entry(self.bucket(at)).or_default() += msat;
        // The ledger's time is never before the newest bucket.
        let newest = self
            .buckets
            .keys()
            .next_back()
            .map_or(0, |n| n * self.width);
        while let Some(oldest) = self.buckets.first_entry() {
            if Self::is_within(*oldest.key(), self.width, self.length, newest) {
                break;
            }
            oldest.remove();
        }
    }

    pub(super) fn remove(&mut self, at: Timestamp, msat: u128) {
        if let Some(sum) = self.buckets.get_mut(&self.bucket(at)) {
            *sum = sum.saturating_sub(msat);
        }
    }

    pub(super) fn spent(&self, now: Timestamp) -> u128 {
        let now = now.as_unix_seconds();
        let within = |bucket: u64| Self::is_within(bucket, self.width, self.length, now);
        let counted = self.buckets.iter().filter(|(bucket, _)| within(**bucket));
        counted.map(|(_, msat)| msat).sum()
    }

    const fn bucket(&self, at: Timestamp) -> u64 {
        at.as_unix_seconds() / self.width
    }

    /// Whether the last moment of a bucket is in the window that ends `now`.
    const fn is_within(bucket: u64, width: u64, length: u64, now: u64) -> bool {
        let end = bucket.saturating_add(1).saturating_mul(width);
        end.saturating_add(length) > now
    }
}

/// How many buckets a window is cut into.
const BUCKETS: u64 = 60;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_window_never_counts_too_little_and_holds_few_buckets(
            length in 1u64..200_000, steps in prop::collection::vec((0u64..20_000, 0u32..1_000), 1..200),
        ) {
            let mut window = Window::new(Duration::from_secs(length));
            let (mut now, mut all) = (0, Vec::new());
            for (step, msat) in steps {
                now += step;
                window.add(Timestamp::from_unix_seconds(now), msat.into());
                all.push((now, u128::from(msat)));
                let since = |from: u64| all.iter().filter(|(at, _)| *at >= from).map(|(_, msat)| msat).sum::<u128>();
                let counted = window.spent(Timestamp::from_unix_seconds(now));
                let least = since((now + 1).saturating_sub(length));
                let most = since(now.saturating_sub(length + length.div_ceil(60)));
                prop_assert!(least <= counted && counted <= most, "{least} {counted} {most}");
                prop_assert!(window.buckets.len() <= 62);
            }
        }
    }
}
