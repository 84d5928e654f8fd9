use std::time::Instant;

use tokio::task::JoinSet;

use super::subject::{
    PATIENCE, Setup, Subject, a_key, a_use, after, poll_and_drop, restorable, uses,
};
use crate::replay::{
    Consumption, ConsumptionKey, ReleaseReason, ReplayStore, UseId, UseLimits, UseRequest,
};

pub(super) async fn suite<S: ReplayStore>(open: &impl AsyncFn(Setup) -> S) {
    let subject = Subject::new(open).await;
    what_was_not_served_comes_back_every_time(&subject).await;
    a_second_release_gives_nothing(&subject).await;
    a_release_of_nothing_gives_nothing(&subject).await;
    failures_come_back_as_often_as_the_limit_says(&subject).await;
    a_release_that_comes_first_wins(&subject).await;
    a_released_use_is_not_granted_again(&subject).await;
    a_release_of_an_earlier_use_counts(&subject).await;
    for polls in 0..POLLS {
        a_caller_who_goes_leaves_nothing_taken(&subject, polls).await;
    }
    for _ in 0..ROUNDS {
        callers_who_go_in_a_race_leave_nothing_taken(&subject).await;
    }
}

async fn what_was_not_served_comes_back_every_time<S: ReplayStore>(subject: &Subject<S>) {
    let key = a_key();
    for _ in 0..10 {
        let id = a_use();
        wait_for_grant(subject, key, id, uses(1)).await;
        subject.release(key, id, ReleaseReason::NotServed);
    }
    subject
        .consume_released(key, uses(1), "what was not served must come back")
        .await;
}

async fn a_second_release_gives_nothing<S: ReplayStore>(subject: &Subject<S>) {
    let (key, id) = (a_key(), a_use());
    let limits = restorable(2, 2);
    let _ = subject.consume(key, id, limits).await;
    let _ = subject.consume(key, a_use(), limits).await;
    for why in [
        ReleaseReason::NotServed,
        ReleaseReason::NotServed,
        ReleaseReason::Failed,
    ] {
        subject.release(key, id, why);
    }
    subject
        .consume_released(key, limits, "what was not served must come back")
        .await;
    assert_eq!(
        subject.drain(key, limits).await,
        0,
        "a second release of one use must give nothing"
    );
}

async fn a_release_of_nothing_gives_nothing<S: ReplayStore>(subject: &Subject<S>) {
    let key = a_key();
    subject.release(key, a_use(), ReleaseReason::NotServed);
    assert_eq!(
        subject.drain(key, uses(3)).await,
        3,
        "a release of a use that was never granted must give nothing"
    );
    let refused = a_use();
    assert_eq!(
        subject.consume(key, refused, uses(3)).await,
        Consumption::Spent
    );
    subject.release(key, refused, ReleaseReason::NotServed);
    subject.release(key, a_use(), ReleaseReason::Failed);
    assert_eq!(
        subject.drain(key, uses(3)).await,
        0,
        "a release of a use that was refused must give nothing"
    );
}

async fn failures_come_back_as_often_as_the_limit_says<S: ReplayStore>(subject: &Subject<S>) {
    for restores in [0, 1, 2] {
        let key = a_key();
        let limits = restorable(1, restores);
        for _ in 0..restores {
            take_and_fail(subject, key, limits).await;
        }
        take_and_fail(subject, key, limits).await;
        assert_eq!(
            subject.drain(key, limits).await,
            0,
            "{restores} failures may come back, and no more"
        );
    }
    let key = a_key();
    let limits = restorable(1, 1);
    take_and_fail(subject, key, limits).await;
    let id = a_use();
    wait_for_grant(subject, key, id, limits).await;
    subject.release(key, id, ReleaseReason::NotServed);
    subject
        .consume_released(
            key,
            limits,
            "what was not served must come back whatever failed before",
        )
        .await;
}

async fn a_release_that_comes_first_wins<S: ReplayStore>(subject: &Subject<S>) {
    for why in [ReleaseReason::NotServed, ReleaseReason::Failed] {
        let (key, id) = (a_key(), a_use());
        let limits = restorable(1, 1);
        subject.release(key, id, why);
        let _ = subject.consume(key, id, limits).await;
        subject
            .consume_released(
                key,
                limits,
                "a release that came before its consume must win over it",
            )
            .await;
        assert_eq!(subject.drain(key, limits).await, 0);
    }
}

async fn a_released_use_is_not_granted_again<S: ReplayStore>(subject: &Subject<S>) {
    let (key, id) = (a_key(), a_use());
    let _ = subject.consume(key, id, uses(1)).await;
    subject.release(key, id, ReleaseReason::NotServed);
    subject
        .consume_released(key, uses(1), "what was not served must come back")
        .await;
    assert_eq!(
        subject.consume(key, id, uses(1)).await,
        Consumption::Spent,
        "a use id that was released is over"
    );
}

async fn a_release_of_an_earlier_use_counts<S: ReplayStore>(subject: &Subject<S>) {
    let (key, limits) = (a_key(), restorable(4, 1));
    let ids = [a_use(), a_use(), a_use(), a_use()];
    for id in ids {
        let _ = subject.consume(key, id, limits).await;
    }
    subject.release(key, ids[0], ReleaseReason::NotServed);
    subject
        .consume_released(key, limits, "the first of several uses must come back")
        .await;
    subject.release(key, ids[1], ReleaseReason::Failed);
    subject
        .consume_released(key, limits, "the second of several uses must come back")
        .await;
    subject.release(key, ids[2], ReleaseReason::Failed);
    assert_eq!(
        subject.drain(key, limits).await,
        0,
        "one failure may come back, and no more"
    );
}

async fn a_caller_who_goes_leaves_nothing_taken<S: ReplayStore>(
    subject: &Subject<S>,
    polls: usize,
) {
    let (key, id) = (a_key(), a_use());
    poll_and_drop(
        subject
            .store
            .consume(UseRequest::new(key, id, uses(1), after(3_600))),
        polls,
    )
    .await;
    subject.release(key, id, ReleaseReason::NotServed);
    subject
        .consume_released(
            key,
            uses(1),
            format!("dropped after {polls} polls and released, a use must come back"),
        )
        .await;
    assert_eq!(
        subject.drain(key, uses(1)).await,
        0,
        "dropped after {polls} polls and released, a use came back twice"
    );
}

async fn callers_who_go_in_a_race_leave_nothing_taken<S: ReplayStore>(subject: &Subject<S>) {
    let (key, limits) = (a_key(), uses(3));
    let mut racers = JoinSet::new();
    for number in 0..GOING {
        let store = subject.store.clone();
        racers.spawn(async move {
            let id = a_use();
            let answer = poll_and_drop(
                store.consume(UseRequest::new(key, id, limits, after(3_600))),
                number % POLLS,
            )
            .await;
            store.release(key, id, ReleaseReason::NotServed);
            // A second release must give nothing.
            store.release(key, id, ReleaseReason::NotServed);
            drop(answer);
        });
    }
    racers.join_all().await;
    let given_up = Instant::now() + PATIENCE;
    let mut left = 0;
    while left < 3 {
        left += subject.drain(key, limits).await;
        assert!(
            Instant::now() < given_up,
            "{GOING} callers went and released; {left} of 3 uses came back"
        );
    }
    assert_eq!(
        left, 3,
        "{GOING} callers went and released; more uses came back than were bought"
    );
    assert_eq!(subject.drain(key, limits).await, 0);
}

async fn take_and_fail<S: ReplayStore>(
    subject: &Subject<S>,
    key: ConsumptionKey,
    limits: UseLimits,
) {
    let id = a_use();
    wait_for_grant(subject, key, id, limits).await;
    subject.release(key, id, ReleaseReason::Failed);
}

/// Asks until a released use is granted.
pub(super) async fn wait_for_grant<S: ReplayStore + ?Sized>(
    subject: &Subject<S>,
    key: ConsumptionKey,
    id: UseId,
    limits: UseLimits,
) {
    let given_up = Instant::now() + PATIENCE;
    while subject.consume(key, id, limits).await == Consumption::Spent {
        assert!(
            Instant::now() < given_up,
            "a use that was released must come back"
        );
        tokio::task::yield_now().await;
    }
}

const GOING: usize = 100;
const POLLS: usize = 5;
const ROUNDS: usize = 8;
