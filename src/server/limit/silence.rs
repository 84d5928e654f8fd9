//! Decides from the results of calls whether the node answers at all.
//!
//! If a client resets its request while a healthy node works, its slot must stay held, because
//! there will be an invoice. If the node hangs, there is none, and the reset must not lock the
//! client out after the node recovers. Time decides between the two: a healthy node would have
//! answered.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::clock::Timestamp;

/// A call to the node for one invoice.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeCall {
    pub(super) began: Instant,
    pub(super) time_limit: Duration,
    /// When the requested invoice would expire.
    pub(super) end: Timestamp,
    /// When the slot is freed if the node does not answer.
    pub(super) brief: Timestamp,
}

/// How a call to the node ended without an invoice to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallEnd {
    /// The answer cannot be read: there may be an invoice.
    BadAnswer,
    /// The request was dropped before the node answered.
    HungUp,
    /// The node refused: there is no invoice.
    Refused,
    /// No answer within the time limit.
    TimedOut,
    /// The node could not be reached, or the connection broke: there may be an invoice.
    Unreachable,
    /// The invoice is not the requested one.
    WrongInvoice,
}

/// The shortest time without an answer that counts as silence.
const LEAST: Duration = Duration::from_secs(1);

/// A node is silent if a call waits this many times as long as its slowest recent answer.
const PATIENCE: u32 = 4;

/// What is known of the node's answers and of its silence.
///
/// Silence is a fact about the past. A call that begins after it was noticed proves nothing until
/// it has waited itself, because the node may have recovered. So a noticed silence means nothing
/// after one time limit, when all calls of that time have ended.
#[derive(Debug, Default)]
pub(super) struct Silence {
    heard: Option<Instant>,
    /// How long the slowest recent invoice took. Each faster one lowers it a little. `None` before
    /// the first.
    slowest: Option<Duration>,
    /// When a call was last found unanswered, since the node's last answer.
    noticed: Option<Instant>,
    /// Slots of requests that were dropped since the last answer, and when each would be freed
    /// early.
    pub(super) dropped: HashMap<u64, Timestamp>,
}

impl Silence {
    /// Notes that the node made an invoice.
    pub(super) fn made(&mut self, call: &NodeCall) {
        let slowest = self.slowest.unwrap_or_default().saturating_mul(7) / 8;
        self.slowest = Some(call.began.elapsed().max(slowest));
        self.heard();
    }

    /// Notes that the node answered something. A fast refusal does not show that it makes invoices
    /// fast.
    pub(super) fn heard(&mut self) {
        self.heard = Some(Instant::now());
        self.noticed = None;
        self.dropped.clear();
    }

    /// Notes that the node did not answer this call. Returns whether that proves that it answers no
    /// call.
    pub(super) fn unanswered(&mut self, call: &NodeCall, why: CallEnd) -> bool {
        let since = self.heard.map_or(call.began, |heard| heard.max(call.began));
        let patience = |slowest: Duration| {
            slowest
                .saturating_mul(PATIENCE)
                .max(LEAST)
                .min(call.time_limit)
        };
        let is_proof = why == CallEnd::Unreachable
            || since.elapsed() >= self.slowest.map_or(call.time_limit, patience);
        if is_proof {
            self.noticed = Some(Instant::now());
        }
        is_proof
    }

    /// Whether this call began before the node was found silent, without an answer since.
    pub(super) fn covers(&self, call: &NodeCall) -> bool {
        self.noticed.is_some_and(|noticed| call.began < noticed)
    }
}

#[cfg(test)]
mod tests {
    use std::{iter, net::Ipv4Addr, sync::Arc};

    use super::*;
    use crate::{
        payment::PaymentHash,
        server::{
            address::ClientKey,
            limit::{Limiter, Slot, UnpaidLimits},
        },
    };

    const LIMIT: Duration = Duration::from_secs(10);
    const LIFE: Duration = Duration::from_secs(300);

    fn limiter() -> Arc<Limiter> {
        Arc::new(Limiter::new(UnpaidLimits::default()))
    }

    fn wall(began: Instant) -> Timestamp {
        Timestamp::from_unix_seconds(1_000 + began.elapsed().as_secs())
    }

    fn called(limiter: &Arc<Limiter>, client: u8, now: Timestamp) -> Option<Slot> {
        let mut slot = limiter
            .reserve(ClientKey::V4(Ipv4Addr::new(192, 0, 2, client)), now)
            .ok()?;
        slot.node_called(now, LIFE, LIMIT);
        Some(slot)
    }

    /// A node that is asked by one client only makes an invoice for it in this time.
    async fn answers(limiter: &Arc<Limiter>, took: Duration) {
        let now = Timestamp::from_unix_seconds(1_000);
        let slot = called(limiter, 9, now).unwrap();
        tokio::time::advance(took).await;
        slot.issued(PaymentHash::from_bytes([9; 32]), now.saturating_add(LIFE));
    }

    /// How many invoices one client can have made in the life of one if it resets each request
    /// after this time.
    async fn made(limiter: &Arc<Limiter>, after: Duration) -> usize {
        let (began, mut made) = (Instant::now(), 0);
        while began.elapsed() < LIFE {
            let slots: Vec<_> = iter::from_fn(|| called(limiter, 1, wall(began))).collect();
            made += slots.len();
            tokio::time::advance(after).await;
            drop(slots);
            tokio::time::advance(Duration::from_secs(1).saturating_sub(after)).await;
        }
        made
    }

    #[tokio::test(start_paused = true)]
    async fn one_failed_call_of_a_healthy_node_gives_no_slot_back_to_a_client_that_resets() {
        for (why, waited) in [(CallEnd::Unreachable, 0), (CallEnd::TimedOut, 10)] {
            for after in [0, 20, 900] {
                let limiter = limiter();
                let failed = called(&limiter, 9, Timestamp::from_unix_seconds(1_000)).unwrap();
                tokio::time::advance(Duration::from_secs(waited)).await;
                failed.not_issued(why);
                assert_eq!(
                    made(&limiter, Duration::from_millis(after)).await,
                    64,
                    "{why:?}, reset after {after} ms"
                );
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_node_that_nobody_else_asks_gives_no_slot_back_to_a_client_that_resets() {
        for after in [0, 999, 1_000, 1_200, 4_000, 9_999] {
            let after = Duration::from_millis(after);
            assert_eq!(
                made(&limiter(), after).await,
                64,
                "before any answer, {after:?}"
            );
        }
        let (slow, fast) = (Duration::from_millis(1_200), Duration::from_millis(20));
        for after in [0, 1_000, 3_900] {
            let (after, limiter) = (Duration::from_millis(after), limiter());
            answers(&limiter, slow).await;
            let refused = called(&limiter, 9, Timestamp::from_unix_seconds(1_000)).unwrap();
            tokio::time::advance(fast).await;
            refused.not_issued(CallEnd::Refused);
            assert_eq!(made(&limiter, after).await, 64, "{after:?}");
        }
        let limiter = limiter();
        let refused = called(&limiter, 9, Timestamp::from_unix_seconds(1_000)).unwrap();
        tokio::time::advance(fast).await;
        refused.not_issued(CallEnd::Refused);
        assert_eq!(made(&limiter, slow).await, 64, "only refusals were fast");
    }

    #[tokio::test(start_paused = true)]
    async fn who_gave_up_before_or_while_the_node_was_found_silent_is_free_after_a_moment() {
        let (limiter, began) = (limiter(), Instant::now());
        let seconds = |n| tokio::time::advance(Duration::from_secs(n));
        let is_full = |client| called(&limiter, client, wall(began)).is_none();
        answers(&limiter, Duration::ZERO).await;
        let calls =
            |client| iter::from_fn(|| called(&limiter, client, wall(began))).collect::<Vec<_>>();
        drop(calls(1));
        let (patient, waiting) = (called(&limiter, 2, wall(began)), calls(3));
        seconds(2).await;
        // This one has not waited for long when another has.
        let late = calls(4);
        seconds(0).await;
        tokio::time::advance(Duration::from_millis(500)).await;
        drop(patient);
        drop((waiting, late));
        seconds(1).await;
        drop(calls(5));
        assert!([1, 3, 4, 5].into_iter().all(is_full));
        // The first to give up are free at their time limit, the last may have invoices.
        seconds(12).await;
        assert_eq!([1, 3, 4, 5].map(is_full), [false, false, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn any_answer_ends_the_silence() {
        for answer in [CallEnd::BadAnswer, CallEnd::Refused, CallEnd::WrongInvoice] {
            let (limiter, began) = (limiter(), Instant::now());
            let calls = iter::from_fn(|| called(&limiter, 1, wall(began)));
            let waiting: Vec<_> = calls.collect();
            let lost = called(&limiter, 9, wall(began)).unwrap();
            let heard = called(&limiter, 8, wall(began)).unwrap();
            tokio::time::advance(Duration::from_secs(1)).await;
            lost.not_issued(CallEnd::Unreachable);
            tokio::time::advance(Duration::from_secs(1)).await;
            heard.not_issued(answer);
            drop(waiting);
            tokio::time::advance(Duration::from_secs(20)).await;
            let is_full = called(&limiter, 1, wall(began)).is_none();
            assert!(is_full, "{answer:?}: the node may have made their invoices");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_answer_does_not_make_a_slow_node_a_silent_one() {
        let limiter = limiter();
        answers(&limiter, Duration::from_millis(1_200)).await;
        answers(&limiter, Duration::ZERO).await;
        assert_eq!(made(&limiter, Duration::from_secs(2)).await, 64);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_timed_out_proves_silence_however_slow_the_node_was() {
        let (limiter, began) = (limiter(), Instant::now());
        answers(&limiter, Duration::from_secs(5)).await;
        drop(iter::from_fn(|| called(&limiter, 1, wall(began))).collect::<Vec<_>>());
        let patient = called(&limiter, 2, wall(began)).unwrap();
        tokio::time::advance(LIMIT).await;
        patient.not_issued(CallEnd::TimedOut);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(called(&limiter, 1, wall(began)).is_some());
    }
}
