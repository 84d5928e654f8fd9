//! Turns: of all requests with one payment only a few at a time do what holds something that others need.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Semaphore;

use crate::payment::PaymentHash;

/// A line of requests for each payment that some request is in line for.
#[derive(Debug, Default)]
pub(super) struct Turns {
    lines: Mutex<HashMap<PaymentHash, Line>>,
}

#[derive(Debug)]
struct Line {
    free: Arc<Semaphore>,
    /// Requests that stand in it or have their turn. Without any it is forgotten.
    requests: usize,
}

/// A place in line. Dropping it ends its turn.
#[derive(Debug)]
pub(super) struct InLine {
    turns: Arc<Turns>,
    payment_hash: PaymentHash,
    free: Arc<Semaphore>,
    has_turn: bool,
}

impl Turns {
    /// Gets in line. So many may have their turn at once; if the line exists, what its first request said counts.
    pub(super) fn line_up(self: &Arc<Self>, payment_hash: PaymentHash, at_once: usize) -> InLine {
        let mut lines = self.lock();
        let new = || Line { free: Arc::new(Semaphore::new(at_once)), requests: 0 };
        let line = lines.entry(payment_hash).or_insert_with(new);
        line.requests += 1;
        InLine { turns: self.clone(), payment_hash, free: line.free.clone(), has_turn: false }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PaymentHash, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InLine {
    /// Takes the turn if nobody waits and one is free.
    pub(super) fn try_turn(&mut self) -> bool {
        let taken = self.free.try_acquire().map(|permit| permit.forget()).is_ok();
        self.has_turn |= taken;
        taken
    }

    /// Waits for the turn, in the order of arrival.
    pub(super) async fn turn(&mut self) {
        // The semaphore is never closed.
        if let Ok(permit) = self.free.acquire().await {
            permit.forget();
            self.has_turn = true;
        }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        if self.has_turn {
            self.free.add_permits(1);
        }
        let mut lines = self.turns.lock();
        if let Some(line) = lines.get_mut(&self.payment_hash) {
            line.requests -= 1;
            if line.requests == 0 {
                lines.remove(&self.payment_hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_have_their_turn_in_order_and_nothing_is_left_of_a_line() {
        let (turns, hash) = (Arc::new(Turns::default()), PaymentHash::from_bytes([1; 32]));
        let mut first = turns.line_up(hash, 1);
        let (mut second, mut third) = (turns.line_up(hash, 7), turns.line_up(hash, 7));
        assert!(first.try_turn() && !second.try_turn());
        let (mut second_waits, mut third_waits) = (tokio_test::task::spawn(second.turn()), tokio_test::task::spawn(third.turn()));
        assert!(second_waits.poll().is_pending() && third_waits.poll().is_pending());
        assert!(turns.line_up(PaymentHash::from_bytes([2; 32]), 1).try_turn(), "other payments have lines of their own");
        drop(first);
        assert!(!turns.line_up(hash, 1).try_turn(), "those who wait come first");
        assert!(third_waits.poll().is_pending() && second_waits.poll().is_ready());
        drop((second_waits, third_waits));
        drop((second, third));
        assert!(turns.lock().is_empty());
    }
}
