//! Whether the node answers, judged by how calls to it end.
//!
//! A client that resets its request while a healthy node works must not get its slot back: there is an invoice. While the node
//! hangs there is none, and the same reset must not keep the client out after the node recovers. The two are told apart by
//! time: a healthy node would have answered.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::clock::Timestamp;

/// A call to the node for one invoice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) began: Instant,
    pub(super) time_limit: Duration,
    /// When the invoice that it asks for would end.
    pub(super) end: Timestamp,
    /// Until when the slot is held if the node did not answer.
    pub(super) brief: Timestamp,
}

/// How a call to the node ended that gave no invoice to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallEnd {
    /// An answer that cannot be read: there may be an invoice.
    BadAnswer,
    /// The request was dropped before the node answered.
    HungUp,
    /// The node refused: there is no invoice.
    Refused,
    /// No answer within the time limit.
    TimedOut,
    /// The node could not be reached, or was lost: there may be an invoice.
    Unreachable,
    /// An invoice that was not asked for.
    WrongInvoice,
}

/// The least time without an answer that counts as silence.
const LEAST: Duration = Duration::from_secs(1);

/// A node is silent if it lets a call wait this many times as long as its slowest answer of late.
const PATIENCE: u32 = 4;

/// Since when the node has answered nothing.
#[derive(Debug, Default)]
pub(super) struct Silence {
    heard: Option<Instant>,
    /// How long the slowest answer of late took. Falls slowly with each faster one.
    slowest: Duration,
    is_silent: bool,
    /// Slots of requests that were dropped since the last answer, with their brief ends.
    pub(super) dropped: HashMap<u64, Timestamp>,
}

impl Silence {
    /// The node answered this call.
    pub(super) fn heard(&mut self, call: &Call) {
        let now = Instant::now();
        let took = now.saturating_duration_since(call.began);
        self.slowest = took.max(self.slowest.saturating_mul(7) / 8);
        self.heard = Some(now);
        self.is_silent = false;
        self.dropped.clear();
    }

    /// The node did not answer this call: whether it answers nobody. Once it is silent it stays so until it answers.
    pub(super) fn unanswered(&mut self, call: &Call, why: CallEnd) -> bool {
        let since = self.heard.map_or(call.began, |heard| heard.max(call.began));
        let patience = self.slowest.saturating_mul(PATIENCE).max(LEAST).min(call.time_limit);
        self.is_silent |= why == CallEnd::Unreachable || since.elapsed() >= patience;
        self.is_silent
    }
}
