//! Whether the replay store answered last. While it does not, nothing is sold that it must count: the
//! buyer's credential could end before the store answers again, or the store may never do.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};

use crate::{lock::lock, replay::ReplayStore, trace};

/// A store that failed is not asked again so soon.
const RECENT: Duration = Duration::from_secs(1);

/// A failure is not logged again so soon.
const QUIET: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(in crate::server) struct StoreHealth {
    has_failed: AtomicBool,
    asked: Mutex<Option<Instant>>,
    log: std::sync::Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    last: Option<Instant>,
    /// Whether it says last that the store failed.
    says_failed: bool,
}

impl StoreHealth {
    /// Notes that a call failed, and logs why unless that was logged shortly before.
    pub(in crate::server) fn failed(&self, why: impl fmt::Display) {
        self.has_failed.store(true, Ordering::Relaxed);
        let mut log = lock(&self.log);
        if log.last.is_none_or(|last| last.elapsed() >= QUIET) {
            (log.last, log.says_failed) = (Some(Instant::now()), true);
            trace::error(format_args!("no use was consumed: {why}"));
        }
    }

    /// Notes that a call was answered.
    pub(in crate::server) fn answered(&self) {
        if self.has_failed.load(Ordering::Relaxed) && self.has_failed.swap(false, Ordering::Relaxed)
        {
            let mut log = lock(&self.log);
            if std::mem::take(&mut log.says_failed) {
                trace::info(format_args!("the store of spent payments answers again"));
            }
        }
    }

    /// Returns whether the store failed last, and still does.
    pub(in crate::server) async fn is_down(
        &self,
        store: &dyn ReplayStore,
        limit: Duration,
    ) -> bool {
        if !self.has_failed.load(Ordering::Relaxed) {
            return false;
        }
        let mut asked = self.asked.lock().await;
        let is_recent = asked.is_some_and(|at| at.elapsed() < RECENT);
        if self.has_failed.load(Ordering::Relaxed) && !is_recent {
            let ready = tokio::time::timeout(limit, store.ready()).await;
            *asked = Some(Instant::now());
            if matches!(ready, Ok(Ok(()))) {
                self.answered();
            }
        }
        self.has_failed.load(Ordering::Relaxed)
    }
}
