//! Handles of one store whose clocks differ.

use std::{sync::Arc, time::Duration};

use super::subject::{Setup, Subject, a_key, a_use, after, uses};
use crate::{
    clock::TestClock,
    replay::{Consumption, ReleaseReason, ReplayStore},
};

pub(super) async fn suite<S: ReplayStore>(open: &impl AsyncFn(Setup) -> S) {
    let (behind, ahead) = pair(open, MINUTES).await;
    uses_are_known_at_both(&behind, &ahead).await;
    uses_are_known_at_both(&ahead, &behind).await;
    let (behind, ahead) = pair(open, MORE_THAN_AN_HOUR).await;
    what_one_removed_is_spent_at_both(&behind, &ahead).await;
    what_both_keep_is_spent_at_both(&ahead, &behind).await;
}

/// Opens two handles. The clock of the second is ahead by so much.
async fn pair<S: ReplayStore>(
    open: &impl AsyncFn(Setup) -> S,
    by: Duration,
) -> (Subject<S>, Subject<S>) {
    let setup = Setup::new();
    let clock = TestClock::at(after(by.as_secs()));
    let behind = Subject::open(open, setup.clone()).await;
    let later = Setup {
        is_open: true,
        clock,
        ..setup
    };
    let ahead = Subject::open(open, later).await;
    let made = [&behind.store, &ahead.store].map(|store: &Arc<S>| store.created_at());
    assert_eq!(
        made[0], made[1],
        "handles whose clocks differ must return the same `created_at`"
    );
    (behind, ahead)
}

async fn uses_are_known_at_both<S: ReplayStore>(here: &Subject<S>, there: &Subject<S>) {
    let (key, id) = (a_key(), a_use());
    for subject in [here, there] {
        let answer = subject.consume(key, id, uses(2)).await;
        assert_eq!(
            answer,
            Consumption::Granted { remaining: 1 },
            "a use id is known for ten minutes, also if the clocks differ by five"
        );
    }
    let second = a_use();
    assert_eq!(
        there.consume(key, second, uses(2)).await,
        Consumption::Granted { remaining: 0 }
    );
    here.release(key, second, ReleaseReason::NotServed);
    here.consume_released(
        key,
        uses(2),
        "a use that was taken by one clock can be given back by another",
    )
    .await;
    assert_eq!(there.consume(key, id, uses(2)).await, FIRST);
    assert_eq!(
        there.drain(key, uses(2)).await,
        0,
        "a use that was given back comes back once, whatever the clocks say"
    );
}

/// By the clock that is ahead, the payment has expired: that handle may remove it.
async fn what_one_removed_is_spent_at_both<S: ReplayStore>(here: &Subject<S>, ahead: &Subject<S>) {
    let key = a_key();
    assert_eq!(
        here.consume(key, a_use(), uses(1)).await,
        Consumption::Granted { remaining: 0 }
    );
    for _ in 0..OTHERS {
        let _ = ahead
            .consume_until(a_key(), a_use(), uses(1), after(90_000))
            .await;
    }
    for subject in [here, ahead] {
        assert_eq!(
            subject.consume(key, a_use(), uses(1)).await,
            Consumption::Spent,
            "a handle whose clock is ahead removed a payment, and it was granted again"
        );
    }
}

async fn what_both_keep_is_spent_at_both<S: ReplayStore>(here: &Subject<S>, there: &Subject<S>) {
    let key = a_key();
    let until = after(90_000);
    let _ = here.consume_until(key, a_use(), uses(1), until).await;
    for subject in [there, here] {
        assert_eq!(
            subject.consume_until(key, a_use(), uses(1), until).await,
            Consumption::Spent,
            "what was taken by one clock is spent by the other"
        );
    }
}

const FIRST: Consumption = Consumption::Granted { remaining: 1 };
const MINUTES: Duration = Duration::from_secs(300);
const MORE_THAN_AN_HOUR: Duration = Duration::from_secs(3_601);
/// More than a store lets pass before it removes what has expired.
const OTHERS: usize = 1_000;
