use std::time::Duration;

use super::subject::{Setup, Subject, a_key, a_use, uses};
use crate::{
    clock::Clock as _,
    replay::{Durability, ReplayStore},
};

pub(super) async fn suite<S: ReplayStore>(open: &impl AsyncFn(Setup) -> S) {
    let setup = Setup::new();
    let first = a_new_store_was_made_now(open, &setup).await;
    setup.clock.advance(A_WHILE);
    let second = a_new_store_was_made_now(
        open,
        &Setup {
            clock: setup.clock.clone(),
            ..Setup::new()
        },
    )
    .await;
    setup.clock.advance(A_WHILE);
    drop(second);
    let created_at = first.store.created_at();
    let durability = first.store.durability();
    drop(first);
    let again = Subject::open(open, setup.clone()).await;
    match durability {
        Durability::Durable => assert_eq!(
            again.store.created_at(),
            created_at,
            "a durable store must keep its `created_at`"
        ),
        Durability::Volatile => {
            assert!(
                again.store.created_at() >= setup.clock.now(),
                "a store that forgot its data must have a new `created_at`"
            );
        }
    }
}

async fn a_new_store_was_made_now<S: ReplayStore>(
    open: &impl AsyncFn(Setup) -> S,
    setup: &Setup,
) -> Subject<S> {
    let now = setup.clock.now();
    let subject = Subject::open(open, setup.clone()).await;
    let created_at = subject.store.created_at();
    assert!(
        created_at <= now,
        "a store cannot have the `created_at` {created_at}, which is after it was opened, at {now}"
    );
    assert!(
        created_at >= now,
        "a new store must not have the `created_at` {created_at}, which is before it was made, at {now}"
    );
    setup.clock.advance(A_WHILE);
    let _ = subject.consume(a_key(), a_use(), uses(1)).await;
    assert_eq!(
        subject.store.created_at(),
        created_at,
        "`created_at` must not change"
    );
    setup.clock.set(now);
    assert_eq!(
        subject.store.created_at(),
        created_at,
        "`created_at` must not change if the clock is set back"
    );
    subject
}

const A_WHILE: Duration = Duration::from_secs(100);
