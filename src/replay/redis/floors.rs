//! What this handle was answered before, so that a server that forgot some of it is recognised.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use super::buckets::BUCKETS;
use crate::{
    lock::lock,
    replay::{StoreError, UseId},
};

/// A change that was acknowledged: its number in its bucket, and the random mark that was written
/// with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Floor {
    pub(super) number: u64,
    pub(super) mark: [u8; 8],
}

/// The newest acknowledged change of each bucket.
#[derive(Debug)]
pub(super) struct Floors {
    buckets: Box<[Mutex<Floor>]>,
    lost: AtomicBool,
}

impl Floors {
    pub(super) fn new() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| Mutex::default()).collect(),
            lost: AtomicBool::new(false),
        }
    }

    /// Returns what the next call to this bucket must send.
    pub(super) fn of(&self, bucket: u16) -> Floor {
        *lock(&self.buckets[usize::from(bucket)])
    }

    /// Notes an acknowledged change. The call had sent `sent`. If that is no longer the newest, the
    /// server did not confirm the newest with this answer, so the newest stays.
    pub(super) fn answered(&self, bucket: u16, sent: Floor, new: Floor) {
        let mut floor = lock(&self.buckets[usize::from(bucket)]);
        if *floor == sent {
            *floor = new;
        }
    }

    /// Notes that the server has forgotten something. Returns whether that is news.
    pub(super) fn note_lost(&self) -> bool {
        !self.lost.swap(true, Ordering::Relaxed)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Returns a random mark.
pub(super) fn mark() -> Result<[u8; 8], StoreError> {
    let random = UseId::random()?;
    let [mark @ .., _, _, _, _, _, _, _, _] = *random.as_bytes();
    Ok(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_an_older_call_does_not_replace_what_came_since() {
        let floors = Floors::new();
        let at = |number| Floor {
            number,
            mark: [number as u8; 8],
        };
        floors.answered(7, Floor::default(), at(1));
        floors.answered(7, Floor::default(), at(2));
        assert_eq!(floors.of(7), at(1), "2 may be of another past than 1");
        floors.answered(7, at(1), at(3));
        assert_eq!((floors.of(7), floors.of(8)), (at(3), Floor::default()));
    }

    #[test]
    fn a_loss_is_news_once() {
        let floors = Floors::new();
        assert!(!floors.is_lost() && floors.note_lost() && !floors.note_lost() && floors.is_lost());
    }
}
