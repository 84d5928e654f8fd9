//! When the node and the store last answered a readiness probe.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

use crate::lock::lock;

/// They are not asked again so soon.
const RECENT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(in crate::server) struct Readiness(Mutex<Option<Instant>>);

impl Readiness {
    pub(in crate::server) fn is_recent(&self) -> bool {
        lock(&self.0).is_some_and(|last| last.elapsed() < RECENT)
    }

    pub(in crate::server) fn note(&self) {
        *lock(&self.0) = Some(Instant::now());
    }
}
