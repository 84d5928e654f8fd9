use std::{sync::Arc, time::Duration};

use super::{
    releases::wait_for_grant,
    subject::{Setup, Subject, a_key, a_use, after, each_is_granted_once, race, restorable, uses},
};
use crate::{
    clock::TestClock,
    replay::{Consumption, ReleaseReason, ReplayStore},
};

/// One of two handles.
type Side = Subject<dyn ReplayStore>;

/// Two handles of one store, which may be of two processes.
pub(super) struct Pair {
    one: Side,
    other: Side,
}

impl Pair {
    pub(super) fn new(
        one: Arc<dyn ReplayStore>,
        other: Arc<dyn ReplayStore>,
        clock: &TestClock,
    ) -> Self {
        let subject = |store| Subject {
            store,
            clock: clock.clone(),
        };
        Self {
            one: subject(one),
            other: subject(other),
        }
    }

    async fn open<S: ReplayStore>(open: &impl AsyncFn(Setup) -> S) -> Self {
        let setup = Setup::new();
        let one = open(setup.clone()).await;
        // A store that takes `created_at` when a handle is opened must not pass.
        setup.clock.advance(LATER);
        let other = open(Setup {
            is_open: true,
            ..setup.clone()
        })
        .await;
        Self::new(Arc::new(one), Arc::new(other), &setup.clock)
    }

    /// Returns the pair both ways round.
    fn sides(&self) -> [(&Side, &Side); 2] {
        [(&self.one, &self.other), (&self.other, &self.one)]
    }
}

pub(super) async fn suite<S: ReplayStore>(open: &impl AsyncFn(Setup) -> S) {
    let pair = Pair::open(open).await;
    of(&pair).await;
    for (here, there) in Pair::open(open).await.sides() {
        what_one_pruned_is_spent_at_the_other(here, there).await;
    }
}

/// Runs the tests that need no common clock.
pub(super) async fn of(pair: &Pair) {
    both_are_one_store(pair);
    for _ in 0..ROUNDS {
        for bought in [1, 2, 7] {
            as_many_are_granted_as_were_bought(pair, bought).await;
        }
    }
    for (here, there) in pair.sides() {
        what_one_took_is_taken_at_the_other(here, there).await;
        what_one_gives_back_the_other_may_take(here, there).await;
        a_release_at_one_wins_over_a_later_consume_at_the_other(here, there).await;
        restores_are_counted_together(here, there).await;
        super::serving::of_two(here, there).await;
    }
    both_were_made_at_one_moment(pair);
}

fn both_are_one_store(Pair { one, other }: &Pair) {
    assert_eq!(
        one.store.id(),
        other.store.id(),
        "two handles of one store must have one id"
    );
    assert_eq!(
        one.store.durability(),
        other.store.durability(),
        "two handles of one store must be equally durable"
    );
}

/// Runs last, so that graver faults are reported first.
fn both_were_made_at_one_moment(Pair { one, other }: &Pair) {
    let created_at = [&one.store, &other.store].map(|store| store.created_at());
    assert_eq!(
        created_at[0], created_at[1],
        "two handles of one store must return the same `created_at`: keep it in the store, and do not set it when a handle is opened"
    );
}

async fn as_many_are_granted_as_were_bought(Pair { one, other }: &Pair, bought: u32) {
    let key = a_key();
    let answers = race(&[&one.store, &other.store], key, bought, a_use).await;
    let what = format!("tasks raced for {bought} uses through two handles");
    each_is_granted_once(answers, bought, &what);
    let id = a_use();
    for answer in race(&[&one.store, &other.store], a_key(), 2, || id).await {
        assert_eq!(
            answer,
            Consumption::Granted { remaining: 1 },
            "the same use id must get the same answer at both handles"
        );
    }
}

async fn what_one_took_is_taken_at_the_other(here: &Side, there: &Side) {
    let (key, id) = (a_key(), a_use());
    assert_eq!(
        here.consume(key, id, uses(2)).await,
        Consumption::Granted { remaining: 1 }
    );
    assert_eq!(
        there.consume(key, a_use(), uses(2)).await,
        Consumption::Granted { remaining: 0 }
    );
    for subject in [here, there] {
        let answer = subject.consume(key, id, uses(2)).await;
        assert_eq!(
            answer,
            Consumption::Granted { remaining: 1 },
            "a use id must be known at both handles"
        );
        let answer = subject.consume(key, a_use(), uses(2)).await;
        assert_eq!(
            answer,
            Consumption::Spent,
            "what was taken through two handles must be taken at both"
        );
    }
}

async fn what_one_gives_back_the_other_may_take(here: &Side, there: &Side) {
    let (key, id) = (a_key(), a_use());
    assert_eq!(
        here.consume(key, id, uses(1)).await,
        Consumption::Granted { remaining: 0 }
    );
    there.release(key, id, ReleaseReason::NotServed);
    here.release(key, id, ReleaseReason::NotServed);
    there
        .consume_released(
            key,
            uses(1),
            "a release through one handle must give back what the other took",
        )
        .await;
    for subject in [here, there] {
        assert_eq!(
            subject.drain(key, uses(1)).await,
            0,
            "two releases of one use through two handles must give one use"
        );
        assert_eq!(
            subject.consume(key, id, uses(1)).await,
            Consumption::Spent,
            "a use id that was released is over at both"
        );
    }
}

async fn a_release_at_one_wins_over_a_later_consume_at_the_other(here: &Side, there: &Side) {
    let (key, id) = (a_key(), a_use());
    here.release(key, id, ReleaseReason::NotServed);
    let _ = there.consume(key, id, uses(1)).await;
    there
        .consume_released(
            key,
            uses(1),
            "a release must win over a consume of its use through another handle",
        )
        .await;
    assert_eq!(here.drain(key, uses(1)).await, 0);
}

async fn restores_are_counted_together(here: &Side, there: &Side) {
    let (key, id, limits) = (a_key(), a_use(), restorable(2, 1));
    for id in [id, a_use()] {
        let _ = here.consume(key, id, limits).await;
    }
    there.release(key, id, ReleaseReason::Failed);
    let second = a_use();
    wait_for_grant(there, key, second, limits).await;
    here.release(key, second, ReleaseReason::Failed);
    for subject in [here, there] {
        assert_eq!(
            subject.drain(key, limits).await,
            0,
            "one failure may come back, and no more, through all handles together"
        );
    }
}

async fn what_one_pruned_is_spent_at_the_other(here: &Side, there: &Side) {
    let key = a_key();
    let now = here.clock.clone();
    let _ = there.consume_until(key, a_use(), uses(1), after(100)).await;
    now.set(after(101));
    for _ in 0..400 {
        let _ = here
            .consume_until(a_key(), a_use(), uses(1), after(20_000))
            .await;
    }
    for at in [101, 10] {
        now.set(after(at));
        for subject in [here, there] {
            let answer = subject
                .consume_until(key, a_use(), uses(1), after(100))
                .await;
            assert_eq!(
                answer,
                Consumption::Spent,
                "what was pruned through one handle must stay spent at the other"
            );
        }
    }
    now.set(after(0));
}

/// How much later the second handle is opened.
pub(super) const LATER: Duration = Duration::from_secs(5);
const ROUNDS: usize = 4;
