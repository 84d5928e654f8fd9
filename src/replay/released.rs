use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use super::{ConsumptionKey, UseId};
use crate::clock::Timestamp;

/// Uses that are over although nothing else is known of them: released before they were granted, or once and for all. A
/// consume of theirs that comes later is refused.
#[derive(Debug, Default)]
pub(super) struct Released {
    known: HashSet<(ConsumptionKey, UseId)>,
    by_age: VecDeque<(Timestamp, ConsumptionKey, UseId)>,
}

impl Released {
    pub(super) fn contains(&self, key: &ConsumptionKey, id: UseId) -> bool {
        !self.known.is_empty() && self.known.contains(&(*key, id))
    }

    pub(super) fn insert(&mut self, key: ConsumptionKey, id: UseId, now: Timestamp) {
        if self.known.insert((key, id)) {
            self.by_age.push_back((now, key, id));
        }
        if self.known.len() > MAX_RELEASED {
            self.forget_oldest();
        }
    }

    pub(super) fn prune(&mut self, now: Timestamp) {
        for _ in 0..PRUNED_AT_ONCE {
            if self.by_age.front().is_some_and(|(at, ..)| is_forgotten(*at, now)) {
                self.forget_oldest();
            }
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key, id)) = self.by_age.pop_front() {
            self.known.remove(&(key, id));
        }
    }
}

/// Whether the time has passed for which the id of a use is remembered that was granted or released at `at`. A moment that
/// is as far ahead was told by a clock that went wrong.
pub(super) fn is_forgotten(at: Timestamp, now: Timestamp) -> bool {
    now.saturating_since(at).max(at.saturating_since(now)) > REMEMBERED
}

const REMEMBERED: Duration = Duration::from_secs(600);
const MAX_RELEASED: usize = 8_192;
const PRUNED_AT_ONCE: usize = 4;
