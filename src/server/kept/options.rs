use std::{fmt, sync::Arc, time::Duration};

use super::bounds::Bounds;
use crate::replay::Records;

/// For how long answers are kept, how much of them, and in which [`Records`]. See
/// [`Charge::keep_answers`](crate::server::Charge::keep_answers).
///
/// Clones share the records and the total limit, so one value may serve several charges.
#[derive(Clone)]
#[must_use]
pub struct KeptAnswers {
    pub(super) records: Arc<dyn Records>,
    pub(super) time: Duration,
    pub(super) bytes_per_answer: usize,
    pub(super) bounds: Arc<Bounds>,
}

impl KeptAnswers {
    /// Keeps answers in these records for 10 minutes: up to 256 KiB for each answer, and 16 MiB in
    /// all.
    ///
    /// Each store of the crate is such records. If the records hold something else too,
    /// such as revocations, they need room for both. With durable records, answers outlive a
    /// restart. They are on the disk in plain then: protect the folder as you protect the answers.
    pub fn new(records: impl Records) -> Self {
        Self {
            records: Arc::new(records),
            time: Duration::from_secs(600),
            bytes_per_answer: 256 << 10,
            bounds: Arc::new(Bounds::new(16 << 20)),
        }
    }

    /// Sets how long an answer is kept, in whole seconds (default 10 minutes, at most an hour).
    pub const fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sets the longest body that is kept, in bytes (default 256 KiB, at most 4 MiB). Longer ones
    /// are sent and not kept.
    pub const fn bytes_per_answer(mut self, bytes: usize) -> Self {
        self.bytes_per_answer = bytes;
        self
    }

    /// Sets how many bytes all answers together may take that this process keeps (default 16 MiB).
    /// One client gets 4/16 of it, one IPv6 network of 56 bits 6/16 and one of 48 bits 8/16. Above
    /// that, answers are sent and not kept. Identifiers of payments are counted apart: a process
    /// notes up to 16,384 of them, and clients get the same parts. Above that, a request is served
    /// and its identifier is not noted.
    pub fn bytes_in_all(mut self, bytes: usize) -> Self {
        self.bounds = Arc::new(Bounds::new(bytes));
        self
    }

    /// Checks the limits. The error text names the fix.
    pub(in crate::server) fn check(&self) -> Result<(), String> {
        let (time, bytes, total) = (
            self.time,
            self.bytes_per_answer,
            self.bounds.answers.total(),
        );
        if time.as_secs() == 0 || time > HOUR || time.subsec_nanos() != 0 {
            return Err(format!(
                "answers are kept for whole seconds, from one to an hour, and this is {time:?}: change .time(..)"
            ));
        }
        if bytes == 0 || bytes > MOST {
            return Err(format!(
                "a kept answer has at least 1 and at most {MOST} bytes, and this is {bytes}: change .bytes_per_answer(..)"
            ));
        }
        if total / 4 < bytes {
            return Err(format!(
                "an answer of {bytes} bytes could never be kept, because one client gets a quarter of {total} bytes: \
                 raise .bytes_in_all(..), or lower .bytes_per_answer(..)"
            ));
        }
        Ok(())
    }

    /// How long an answer is kept.
    pub(in crate::server) const fn for_how_long(&self) -> Duration {
        self.time
    }

    /// The longest body that is kept, in bytes.
    pub(in crate::server) const fn longest_body(&self) -> usize {
        self.bytes_per_answer
    }
}

impl fmt::Debug for KeptAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptAnswers")
            .field("records", &self.records)
            .field("time", &self.time)
            .field("bytes_per_answer", &self.bytes_per_answer)
            .finish_non_exhaustive()
    }
}

const HOUR: Duration = Duration::from_secs(3_600);
const MOST: usize = 4 << 20;
