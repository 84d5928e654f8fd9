use std::time::Instant;

use super::subject::{PATIENCE, Setup, Subject, a_key, a_use, after, restorable, uses};
use crate::replay::{
    Consumption, ConsumptionKey, ReleaseReason, ReplayStore, UseId, UseLimits, UseRequest,
};

pub(super) async fn suite<S: ReplayStore>(open: &impl AsyncFn(Setup) -> S) {
    let subject = Subject::new(open).await;
    if subject.store.serving().is_none() {
        return;
    }
    what_is_being_served_is_in_use(&subject, &subject).await;
    only_who_asks_for_it_learns_it(&subject).await;
    one_of_several_uses_is_enough(&subject).await;
    what_comes_back_is_not_in_use(&subject).await;
    what_failed_too_often_is_spent_and_not_in_use(&subject).await;
    a_deadline_ends_it(&subject).await;
}

/// Tests that two handles of one store share what is being served.
pub(super) async fn of_two<A, B>(here: &Subject<A>, there: &Subject<B>)
where
    A: ReplayStore + ?Sized,
    B: ReplayStore + ?Sized,
{
    if here.store.serving().is_some() && there.store.serving().is_some() {
        what_is_being_served_is_in_use(here, there).await;
    }
}

async fn what_is_being_served_is_in_use<A, B>(here: &Subject<A>, there: &Subject<B>)
where
    A: ReplayStore + ?Sized,
    B: ReplayStore + ?Sized,
{
    let (key, id) = (a_key(), a_use());
    for _ in 0..2 {
        let answer = serve(here, key, id, uses(1)).await;
        assert_eq!(
            answer,
            Consumption::Granted { remaining: 0 },
            "a repeated request for a use gets the same answer while the use is being served"
        );
    }
    assert_eq!(
        serve(there, key, a_use(), uses(1)).await,
        Consumption::InUse,
        "a use that was granted is being served"
    );
    served(there, key, a_use());
    served(there, a_key(), id);
    assert_eq!(
        serve(there, key, a_use(), uses(1)).await,
        Consumption::InUse,
        "the end of another use, or of one of another payment, must end nothing"
    );
    for _ in 0..2 {
        served(here, key, id);
        let given_up = Instant::now() + PATIENCE;
        loop {
            let answer = serve(there, key, a_use(), uses(1)).await;
            if answer == Consumption::Spent {
                break;
            }
            assert!(
                answer == Consumption::InUse && Instant::now() < given_up,
                "a use that was served is spent, and never comes back: {answer:?}"
            );
            tokio::task::yield_now().await;
        }
    }
}

async fn only_who_asks_for_it_learns_it<S: ReplayStore>(subject: &Subject<S>) {
    let (key, id) = (a_key(), a_use());
    let _ = serve(subject, key, id, uses(1)).await;
    assert_eq!(
        subject.consume(key, a_use(), uses(1)).await,
        Consumption::Spent,
        "a request without a deadline must be answered as ever"
    );
    let other = a_key();
    let _ = subject.consume(other, a_use(), uses(1)).await;
    assert_eq!(
        serve(subject, other, a_use(), uses(1)).await,
        Consumption::Spent,
        "a use that was taken without a deadline is not being served"
    );
}

async fn one_of_several_uses_is_enough<S: ReplayStore>(subject: &Subject<S>) {
    let (key, ids) = (a_key(), [a_use(), a_use()]);
    for (id, remaining) in [(ids[0], 1), (ids[1], 0)] {
        let answer = serve(subject, key, id, uses(2)).await;
        assert_eq!(
            answer,
            Consumption::Granted { remaining },
            "a use that is being served must not block the ones that are left"
        );
    }
    for (id, then) in [(ids[0], Consumption::InUse), (ids[1], Consumption::Spent)] {
        served(subject, key, id);
        assert_eq!(serve(subject, key, a_use(), uses(2)).await, then);
    }
}

async fn what_comes_back_is_not_in_use<S: ReplayStore>(subject: &Subject<S>) {
    let limits = restorable(1, 1);
    let key = a_key();
    for why in [ReleaseReason::NotServed, ReleaseReason::Failed] {
        let id = a_use();
        let mut answer = serve(subject, key, id, limits).await;
        let given_up = Instant::now() + PATIENCE;
        while answer != (Consumption::Granted { remaining: 0 }) && Instant::now() < given_up {
            tokio::task::yield_now().await;
            answer = serve(subject, key, id, limits).await;
        }
        assert_eq!(
            answer,
            Consumption::Granted { remaining: 0 },
            "a release ends the serving and gives the use back"
        );
        subject.release(key, id, why);
    }
}

/// A failure ends the serving, also if the use stays spent because none is left to give back.
async fn what_failed_too_often_is_spent_and_not_in_use<S: ReplayStore>(subject: &Subject<S>) {
    for failures in [0, 1] {
        let (key, limits) = (a_key(), restorable(1, failures));
        for failure in 0..=failures {
            let id = a_use();
            let answer = answer_but(Consumption::InUse, subject, key, id, limits).await;
            assert_eq!(
                answer,
                Consumption::Granted { remaining: 0 },
                "failure {failure} of {failures} gives the use back"
            );
            subject.release(key, id, ReleaseReason::Failed);
        }
        assert_eq!(
            answer_but(Consumption::InUse, subject, key, a_use(), limits).await,
            Consumption::Spent,
            "a failure ends the serving, also of a use that does not come back"
        );
    }
}

/// Asks until there is another answer than this one.
async fn answer_but<S: ReplayStore>(
    unwanted: Consumption,
    subject: &Subject<S>,
    key: ConsumptionKey,
    id: UseId,
    limits: UseLimits,
) -> Consumption {
    let given_up = Instant::now() + PATIENCE;
    loop {
        let answer = serve(subject, key, id, limits).await;
        if answer != unwanted || Instant::now() >= given_up {
            return answer;
        }
        tokio::task::yield_now().await;
    }
}

async fn a_deadline_ends_it<S: ReplayStore>(subject: &Subject<S>) {
    let key = a_key();
    let _ = serve(subject, key, a_use(), uses(1)).await;
    for (at, answer) in [
        (DEADLINE, Consumption::InUse),
        (DEADLINE + 1, Consumption::Spent),
    ] {
        subject.clock.set(after(at));
        assert_eq!(
            serve(subject, key, a_use(), uses(1)).await,
            answer,
            "the deadline is the last second, {at} s after the start"
        );
    }
    subject.clock.set(after(0));
}

async fn serve<S: ReplayStore + ?Sized>(
    subject: &Subject<S>,
    key: ConsumptionKey,
    id: UseId,
    limits: UseLimits,
) -> Consumption {
    let request = UseRequest::new(key, id, limits, after(3_600));
    subject
        .store
        .consume(request.with_serving_until(after(DEADLINE)))
        .await
        .unwrap_or_else(|error| panic!("consume failed: {error}"))
}

fn served<S: ReplayStore + ?Sized>(subject: &Subject<S>, key: ConsumptionKey, id: UseId) {
    subject
        .store
        .serving()
        .expect("a store that knows what is being served")
        .served(key, id);
}

/// In seconds after the start.
const DEADLINE: u64 = 60;
