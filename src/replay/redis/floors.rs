//! What this handle was answered before, so that a server that forgot some of it is recognised.

use std::{
    cmp::Reverse,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use super::buckets::MOST_BUCKETS;
use crate::lock::lock;

/// A change that was acknowledged: its number in its bucket, and the random mark that was written
/// with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) number: u64,
    pub(super) mark: [u8; 8],
}

/// For each bucket the acknowledged changes from which all earlier ones follow: most often one.
/// Calls that overlap are answered without knowing of each other, so each of their changes is kept.
#[derive(Debug)]
pub(super) struct Floors {
    buckets: Box<[Mutex<Vec<Change>>]>,
    lost: AtomicBool,
}

impl Floors {
    pub(super) fn new() -> Self {
        Self {
            buckets: (0..MOST_BUCKETS).map(|_| Mutex::default()).collect(),
            lost: AtomicBool::new(false),
        }
    }

    /// Returns what the next call to this bucket must send, the newest first.
    pub(super) fn of(&self, bucket: u16) -> Vec<Change> {
        lock(&self.buckets[usize::from(bucket)]).clone()
    }

    /// Returns the buckets of which a change was acknowledged.
    pub(super) fn buckets(&self) -> Vec<u16> {
        let known = (0..MOST_BUCKETS).zip(&self.buckets);
        known
            .filter_map(|(bucket, changes)| (!lock(changes).is_empty()).then_some(bucket))
            .collect()
    }

    /// Notes an answer to a call that had sent `sent`: the server has all of that. `new` is the
    /// change of the call itself, if it made one.
    pub(super) fn answered(&self, bucket: u16, sent: &[Change], new: Option<Change>) {
        if new.is_none() && sent.len() < 2 {
            return;
        }
        let mut changes = lock(&self.buckets[usize::from(bucket)]);
        let newest = sent.first().copied().filter(|it| changes.contains(it));
        changes.retain(|change| !sent.contains(change));
        // A change is written on top of what was sent, and so is the newest of these on the others.
        changes.extend(new.or(newest));
        changes.sort_unstable_by_key(|change| Reverse(change.number));
        changes.truncate(MOST);
    }

    /// Notes that the server has forgotten something. Returns whether that is news.
    pub(super) fn note_lost(&self) -> bool {
        !self.lost.swap(true, Ordering::Relaxed)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

/// How many changes of a bucket are kept: no bucket keeps fewer marks.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u64) -> Change {
        Change {
            number,
            mark: [number as u8; 8],
        }
    }

    #[test]
    fn a_change_takes_the_place_of_those_that_its_call_had_sent() {
        let floors = Floors::new();
        floors.answered(7, &[], Some(at(1)));
        floors.answered(7, &[at(1)], Some(at(2)));
        floors.answered(7, &[at(2)], None);
        assert_eq!((floors.of(7), floors.of(8)), (vec![at(2)], vec![]));
        assert_eq!(floors.buckets(), [7]);
    }

    #[test]
    fn each_change_of_calls_that_overlap_is_sent_until_the_server_confirms_it() {
        let floors = Floors::new();
        for number in [2, 1, 3] {
            floors.answered(7, &[], Some(at(number)));
        }
        assert_eq!(
            floors.of(7),
            [at(3), at(2), at(1)],
            "of different pasts, maybe"
        );
        let sent = floors.of(7);
        floors.answered(7, &[], Some(at(4)));
        floors.answered(7, &sent, None);
        assert_eq!(floors.of(7), [at(4), at(3)], "1 and 2 are before 3");
        floors.answered(7, &sent, Some(at(5)));
        assert_eq!(
            floors.of(7),
            [at(5), at(4)],
            "the call knew of 3, and not of 4"
        );
        floors.answered(7, &sent, None);
        assert_eq!(floors.of(7), [at(5), at(4)], "3 is before 5");
        floors.answered(7, &[at(5), at(4)], Some(at(6)));
        assert_eq!(floors.of(7), [at(6)]);
    }

    #[test]
    fn no_more_changes_are_kept_than_any_bucket_has_marks() {
        let floors = Floors::new();
        for number in 1..=200 {
            floors.answered(7, &[], Some(at(number)));
        }
        assert_eq!(
            (floors.of(7).len(), floors.of(7)[MOST - 1]),
            (MOST, at(137))
        );
    }

    #[test]
    fn a_loss_is_news_once() {
        let floors = Floors::new();
        assert!(!floors.is_lost() && floors.note_lost() && !floors.note_lost() && floors.is_lost());
    }
}
