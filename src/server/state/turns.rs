//! Turns: only some requests of one payment at a time use a resource that others need.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Semaphore;

use crate::{lock, payment::PaymentHash};

/// A queue for each payment that has waiting or running requests.
#[derive(Debug, Default)]
pub(in crate::server) struct Turns {
    lines: Mutex<HashMap<PaymentHash, Line>>,
}

/// The queue of one payment. How many turns run at once depends on earlier turns. It starts low, so
/// that an unknown payment holds little. Each success adds one turn, and each failure halves their
/// number.
#[derive(Debug)]
struct Line {
    free: Arc<Semaphore>,
    /// Turns that are taken or free.
    turns: usize,
    /// How many there should be now, and at most.
    at_once: usize,
    most: usize,
    /// Turns that ended with an answer.
    answers: u64,
    /// A turn ended without an answer, and no other turn got one during it or since.
    is_stalled: bool,
    /// Requests that wait or have their turn. The queue is removed when there are none.
    requests: usize,
}

/// A place in the queue. Dropping it ends its turn.
#[derive(Debug)]
pub(in crate::server) struct InLine {
    turns: Arc<Turns>,
    payment_hash: PaymentHash,
    free: Arc<Semaphore>,
    /// The number of answers when its turn began. `None` before that.
    turn: Option<u64>,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum End {
    Good,
    Bad,
    /// No answer came.
    Silent,
    /// The turn was not used.
    Unused,
}

/// How many turns run at once for a payment of which nothing is known, and at most.
const AT_FIRST: usize = 2;
pub(in crate::server) const AT_ONCE: usize = 64;

impl Turns {
    /// Joins the queue. At most `most` turns run at once, or the number that an earlier request in
    /// this queue gave, if that is more.
    pub(in crate::server) fn line_up(
        self: &Arc<Self>,
        payment_hash: PaymentHash,
        most: usize,
    ) -> InLine {
        let mut lines = self.lock();
        let line = lines.entry(payment_hash).or_insert_with(Line::new);
        line.requests += 1;
        let free = line.free.clone();
        let more = line.allow(most);
        drop(lines);
        free.add_permits(more);
        InLine {
            turns: self.clone(),
            payment_hash,
            free,
            turn: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PaymentHash, Line>> {
        lock::lock(&self.lines)
    }
}

impl Line {
    fn new() -> Self {
        let free = Arc::new(Semaphore::new(0));
        Self {
            free,
            turns: 0,
            at_once: 0,
            most: 0,
            answers: 0,
            is_stalled: false,
            requests: 0,
        }
    }

    /// Raises the highest number of turns. Returns how many turns are new.
    fn allow(&mut self, most: usize) -> usize {
        if most > self.most {
            // A queue that was narrowed by failures stays narrow.
            if self.at_once == AT_FIRST.min(self.most) {
                self.at_once = AT_FIRST.min(most);
            }
            self.most = most;
        }
        self.fit()
    }

    /// Ends a turn. Returns how many turns are new.
    fn end(&mut self, end: End, answers_before: u64) -> usize {
        match end {
            End::Good => self.at_once = (self.at_once + 1).min(self.most),
            End::Bad | End::Silent => self.at_once = (self.at_once / 2).max(1),
            End::Unused => {}
        }
        match end {
            End::Good | End::Bad => {
                self.answers += 1;
                self.is_stalled = false;
            }
            End::Silent => self.is_stalled |= self.answers == answers_before,
            End::Unused => {}
        }
        self.turns -= 1;
        self.fit()
    }

    /// Adds missing turns or removes free ones. Returns how many are new.
    fn fit(&mut self) -> usize {
        self.turns -= self
            .free
            .forget_permits(self.turns.saturating_sub(self.at_once));
        let new = self.at_once.saturating_sub(self.turns);
        self.turns += new;
        new
    }
}

impl InLine {
    /// Takes a turn if one is free and nobody waits.
    pub(in crate::server) fn try_turn(&mut self) -> bool {
        let free = self.free.clone();
        free.try_acquire().map(|permit| self.begin(permit)).is_ok()
    }

    /// Waits for a turn, in the order of arrival. Returns false if an earlier turn ended without an
    /// answer, because this one would too.
    pub(in crate::server) async fn turn(&mut self) -> bool {
        let free = self.free.clone();
        // The semaphore is never closed.
        let Ok(permit) = free.acquire().await else {
            return false;
        };
        self.begin(permit);
        !self
            .turns
            .lock()
            .get(&self.payment_hash)
            .is_some_and(|line| line.is_stalled)
    }

    fn begin(&mut self, permit: tokio::sync::SemaphorePermit<'_>) {
        permit.forget();
        self.turn = Some(
            self.turns
                .lock()
                .get(&self.payment_hash)
                .map_or(0, |line| line.answers),
        );
    }

    /// Ends the turn, and notes how it ended.
    pub(in crate::server) fn end(mut self, end: End) {
        self.end_turn(end);
    }

    fn end_turn(&mut self, end: End) {
        let Some(answers_before) = self.turn.take() else {
            return;
        };
        let new = self
            .turns
            .lock()
            .get_mut(&self.payment_hash)
            .map_or(0, |line| line.end(end, answers_before));
        self.free.add_permits(new);
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        self.end_turn(End::Unused);
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

    fn hash(n: u8) -> PaymentHash {
        PaymentHash::from_bytes([n; 32])
    }

    /// Those that have their turn of so many more.
    fn taking(turns: &Arc<Turns>, most: usize) -> Vec<InLine> {
        let mut taken = Vec::new();
        loop {
            let mut next = turns.line_up(hash(1), most);
            if !next.try_turn() {
                return taken;
            }
            taken.push(next);
        }
    }

    #[test]
    fn so_many_have_their_turn_in_order_and_nothing_is_left_of_a_line() {
        let turns = Arc::new(Turns::default());
        let mut first = turns.line_up(hash(1), 1);
        let (mut second, mut third) = (turns.line_up(hash(1), 1), turns.line_up(hash(1), 1));
        assert!(first.try_turn() && !second.try_turn());
        let (mut second_waits, mut third_waits) = (
            tokio_test::task::spawn(second.turn()),
            tokio_test::task::spawn(third.turn()),
        );
        assert!(second_waits.poll().is_pending() && third_waits.poll().is_pending());
        assert!(
            turns.line_up(hash(2), 1).try_turn(),
            "other payments have lines of their own"
        );
        first.end(End::Good);
        assert!(
            !turns.line_up(hash(1), 1).try_turn(),
            "those who wait come first"
        );
        assert!(third_waits.poll().is_pending() && second_waits.poll().is_ready());
        drop((second_waits, third_waits));
        drop((second, third));
        assert!(turns.lock().is_empty());
    }

    #[test]
    fn each_success_lets_one_more_in_and_each_failure_halves_their_number() {
        let turns = Arc::new(Turns::default());
        let _stays = turns.line_up(hash(1), 50);
        for expected in [2, 4, 8, 16, 32, 50, 50] {
            let taken = taking(&turns, 50);
            assert_eq!(taken.len(), expected);
            taken.into_iter().for_each(|turn| turn.end(End::Good));
        }
        let mut taken = taking(&turns, 50);
        taken.pop().unwrap().end(End::Bad);
        assert_eq!(
            taking(&turns, 50).len(),
            0,
            "49 have their turn, and 25 should"
        );
        drop(taken);
        assert_eq!(taking(&turns, 50).len(), 25);
        taking(&turns, 50)
            .into_iter()
            .for_each(|turn| turn.end(End::Silent));
        assert_eq!(taking(&turns, 50).len(), 1);
    }

    #[test]
    fn who_asks_for_less_makes_nobody_wait_who_bought_more() {
        let turns = Arc::new(Turns::default());
        let mut narrow = turns.line_up(hash(1), 1);
        assert!(narrow.try_turn());
        let mut wide = turns.line_up(hash(1), 50);
        assert!(wide.try_turn());
        narrow.end(End::Good);
        assert_eq!(taking(&turns, 1).len(), 2);
    }

    #[test]
    fn those_in_line_are_sent_away_if_no_answer_comes_to_anybody() {
        for is_lost in [false, true] {
            let turns = Arc::new(Turns::default());
            let (mut first, mut second, mut third) = (
                turns.line_up(hash(1), 2),
                turns.line_up(hash(1), 2),
                turns.line_up(hash(1), 2),
            );
            assert!(first.try_turn() && second.try_turn());
            let mut waits = tokio_test::task::spawn(third.turn());
            assert!(waits.poll().is_pending());
            first.end(if is_lost { End::Silent } else { End::Good });
            second.end(End::Silent);
            assert_eq!(waits.poll(), std::task::Poll::Ready(!is_lost));
        }
    }

    #[test]
    fn turns_that_nobody_has_taken_go_too_after_a_failure() {
        let turns = Arc::new(Turns::default());
        let _stays = turns.line_up(hash(1), 50);
        for expected in [2, 4] {
            let taken = taking(&turns, 50);
            assert_eq!(taken.len(), expected);
            taken.into_iter().for_each(|turn| turn.end(End::Good));
        }
        let mut one = turns.line_up(hash(1), 50);
        assert!(one.try_turn(), "the first of eight");
        one.end(End::Bad);
        assert_eq!(taking(&turns, 50).len(), 4);
    }

    #[test]
    fn an_answer_lets_those_in_line_go_on_after_a_silence() {
        let turns = Arc::new(Turns::default());
        let _stays = turns.line_up(hash(1), 2);
        let mut first = turns.line_up(hash(1), 2);
        assert!(first.try_turn());
        first.end(End::Silent);
        let mut second = turns.line_up(hash(1), 2);
        assert!(second.try_turn());
        let mut third = turns.line_up(hash(1), 2);
        let mut waits = tokio_test::task::spawn(third.turn());
        assert!(waits.poll().is_pending());
        second.end(End::Good);
        assert_eq!(waits.poll(), std::task::Poll::Ready(true));
    }
}
