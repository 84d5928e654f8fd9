use super::subject::{Setup, Subject, a_key, a_use, after, restorable, uses};
use crate::replay::{Consumption, Durability, ReleaseReason, ReplayStore};

pub(super) async fn suite<S: ReplayStore>(open: &impl AsyncFn(Setup) -> S) {
    let setup = Setup::new();
    let before = Subject::open(open, setup.clone()).await;
    let id = before.store.id();
    assert_eq!(before.store.id(), id, "a store has one id");
    match before.store.durability() {
        Durability::Durable => a_durable_store_forgets_nothing(open, setup, before).await,
        Durability::Volatile => {
            drop(before);
            let after = Subject::open(open, setup).await;
            assert_ne!(
                after.store.id(),
                id,
                "a store that forgot must have another id"
            );
        }
    }
}

async fn a_durable_store_forgets_nothing<S: ReplayStore>(
    open: &impl AsyncFn(Setup) -> S,
    setup: Setup,
    before: Subject<S>,
) {
    let id = before.store.id();
    let (spent, longer, pruned) = (a_key(), a_key(), a_key());
    let use_id = a_use();
    let _ = before.consume(spent, use_id, uses(1)).await;
    let _ = before
        .consume_until(longer, a_use(), uses(1), after(100))
        .await;
    let _ = before
        .consume_until(longer, a_use(), uses(1), after(500))
        .await;
    let _ = before
        .consume_until(pruned, a_use(), uses(1), after(50))
        .await;

    let (returned, failed, several) = (a_key(), a_key(), a_key());
    let limits = restorable(1, 1);
    for (key, why) in [
        (returned, ReleaseReason::NotServed),
        (failed, ReleaseReason::Failed),
    ] {
        let id = a_use();
        let _ = before.consume(key, id, limits).await;
        before.release(key, id, why);
    }
    let first_of_several = a_use();
    let _ = before.consume(several, first_of_several, uses(3)).await;
    let _ = before.consume(several, a_use(), uses(3)).await;
    drop(before);

    let after_restart = Subject::open(open, setup.clone()).await;
    assert_eq!(after_restart.store.id(), id, "a durable store keeps its id");
    assert_eq!(
        after_restart.consume(spent, a_use(), uses(1)).await,
        Consumption::Spent,
        "what was spent is spent"
    );
    assert_eq!(
        after_restart.consume(spent, use_id, uses(1)).await,
        Consumption::Granted { remaining: 0 },
        "a use id is remembered over a restart"
    );
    let answer = after_restart.consume(returned, a_use(), limits).await;
    assert_eq!(
        answer,
        Consumption::Granted { remaining: 0 },
        "a release asked before the store was dropped is carried out"
    );
    let second = a_use();
    assert_eq!(
        after_restart.consume(failed, second, limits).await,
        Consumption::Granted { remaining: 0 }
    );
    after_restart.release(failed, second, ReleaseReason::Failed);
    assert_eq!(
        after_restart.drain(failed, limits).await,
        0,
        "restores are counted over a restart"
    );
    after_restart.release(several, first_of_several, ReleaseReason::NotServed);
    after_restart
        .consume_released(
            several,
            uses(3),
            "an earlier use can be released after a restart",
        )
        .await;
    assert_eq!(after_restart.drain(several, uses(3)).await, 1);
    after_restart.clock.set(after(400));
    for _ in 0..50 {
        let _ = after_restart
            .consume_until(a_key(), a_use(), uses(1), after(9_000))
            .await;
    }
    drop(after_restart);

    let last = Subject::open(open, setup).await;
    let answer = last
        .consume_until(pruned, a_use(), uses(1), after(50))
        .await;
    assert_eq!(
        answer,
        Consumption::Spent,
        "what was pruned stays spent over a restart"
    );
    let answer = last
        .consume_until(longer, a_use(), uses(1), after(9_000))
        .await;
    assert_eq!(
        answer,
        Consumption::Spent,
        "a later end is kept over a restart"
    );
}
