//! The rate limit of each caller: one token bucket for each, in a bounded table.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::Caller;

use crate::lock::lock;

/// How many callers have their own bucket. Further callers share one.
const MAX_CALLERS: usize = 1024;

#[derive(Debug)]
pub(super) struct Rate {
    burst: u32,
    /// How long one token takes to come back.
    interval: Duration,
    buckets: Mutex<HashMap<Option<Caller>, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// When the bucket will be full again.
    full_at: Instant,
}

impl Rate {
    /// Creates a limit of `burst` calls at once, and `burst` more in each `per`.
    pub(super) fn new(burst: u32, per: Duration) -> Self {
        Self {
            burst,
            interval: per / burst.max(1),
            buckets: Mutex::new(HashMap::new()),
        }
    }

    /// Takes one token, or returns how long to wait for one.
    pub(super) fn take(&self, caller: &Caller) -> Result<(), Duration> {
        let now = Instant::now();
        let mut buckets = lock(&self.buckets);
        let mut key = Some(caller.clone());
        if !buckets.contains_key(&key) && buckets.len() >= MAX_CALLERS {
            buckets.retain(|_, bucket| bucket.full_at > now);
            key = key.filter(|_| buckets.len() < MAX_CALLERS);
        }
        let bucket = buckets.entry(key).or_insert(Bucket { full_at: now });
        let full_at = bucket.full_at.max(now) + self.interval;
        let wait = full_at.saturating_duration_since(now + self.interval * self.burst);
        if wait > Duration::ZERO {
            return Err(wait);
        }
        bucket.full_at = full_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_spent_and_comes_back_for_each_caller_alone() {
        let rate = Rate::new(3, Duration::from_secs(30));
        let [shop, news] = ["shop", "news"].map(Caller::named);
        for _ in 0..3 {
            assert_eq!(rate.take(&shop), Ok(()));
        }
        assert_eq!(rate.take(&shop), Err(Duration::from_secs(10)));
        assert_eq!(rate.take(&news), Ok(()));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(rate.take(&shop), Ok(()));
        assert!(rate.take(&shop).is_err());
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!((0..9).filter(|_| rate.take(&shop).is_ok()).count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_further_callers_share_a_bucket() {
        let rate = Rate::new(1, Duration::from_secs(30));
        for index in 0..MAX_CALLERS {
            assert_eq!(rate.take(&Caller::named(index.to_string())), Ok(()));
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(rate.take(&Caller::named("a")), Ok(()));
        assert!(rate.take(&Caller::named("b")).is_err());
        assert_eq!(rate.buckets.lock().unwrap().len(), MAX_CALLERS + 1);
        assert_eq!(
            rate.take(&Caller::named("0")),
            Err(Duration::from_secs(20)),
            "it keeps its own bucket"
        );
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(rate.take(&Caller::named("b")), Ok(()));
        assert_eq!(rate.buckets.lock().unwrap().len(), 1);
    }
}
