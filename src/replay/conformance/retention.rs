use super::subject::{Setup, Subject, a_key, a_use, after, uses};
use crate::replay::{Consumption, ConsumptionKey, ReplayStore, StoreErrorKind, UseRequest};

pub(super) async fn suite<S: ReplayStore>(open: &impl AsyncFn(Setup) -> S) {
    a_key_is_kept_until_the_latest_end_it_was_given(&Subject::new(open).await).await;
    what_was_pruned_stays_spent(&Subject::new(open).await).await;
    a_full_store_loses_no_live_key(open).await;
}

async fn a_key_is_kept_until_the_latest_end_it_was_given<S: ReplayStore>(subject: &Subject<S>) {
    let (key, longer, granted_longer) = (a_key(), a_key(), a_key());
    for key in [key, longer] {
        let _ = subject
            .consume_until(key, a_use(), uses(1), after(100))
            .await;
    }
    let _ = subject
        .consume_until(granted_longer, a_use(), uses(2), after(100))
        .await;
    assert_eq!(
        subject
            .consume_until(longer, a_use(), uses(1), after(500))
            .await,
        Consumption::Spent
    );
    let _ = subject
        .consume_until(granted_longer, a_use(), uses(2), after(500))
        .await;
    for key in [longer, granted_longer] {
        assert_eq!(
            subject
                .consume_until(key, a_use(), uses(1), after(50))
                .await,
            Consumption::Spent
        );
    }
    subject.clock.set(after(100));
    churn(subject).await;
    // These requests end late, so a store that forgot the key has no other reason to refuse them.
    let answer = subject
        .consume_until(key, a_use(), uses(1), after(9_000))
        .await;
    assert_eq!(
        answer,
        Consumption::Spent,
        "a key must be kept until its end, inclusive"
    );
    subject.clock.set(after(500));
    churn(subject).await;
    for (key, uses) in [(longer, uses(1)), (granted_longer, uses(2))] {
        let answer = subject
            .consume_until(key, a_use(), uses, after(9_000))
            .await;
        assert_eq!(
            answer,
            Consumption::Spent,
            "a later consume extends how long a key is kept, and never shortens it"
        );
    }
}

async fn what_was_pruned_stays_spent<S: ReplayStore>(subject: &Subject<S>) {
    let keys: Vec<ConsumptionKey> = (0..50).map(|_| a_key()).collect();
    for key in &keys {
        let _ = subject
            .consume_until(*key, a_use(), uses(1), after(100))
            .await;
    }
    subject.clock.set(after(101));
    churn(subject).await;
    for now in [101, 10, 10_000] {
        subject.clock.set(after(now));
        for key in &keys {
            let answer = subject
                .consume_until(*key, a_use(), uses(1), after(100))
                .await;
            assert_eq!(
                answer,
                Consumption::Spent,
                "a key that expired must stay spent, even if the clock is set back"
            );
        }
    }
}

async fn a_full_store_loses_no_live_key<S: ReplayStore>(open: &impl AsyncFn(Setup) -> S) {
    let subject = Subject::open(open, Setup::with_capacity(ROOM)).await;
    let keys: Vec<ConsumptionKey> = (0..ROOM).map(|_| a_key()).collect();
    for key in &keys {
        let answer = subject.consume(*key, a_use(), uses(1)).await;
        assert_eq!(
            answer,
            Consumption::Granted { remaining: 0 },
            "there must be room for {ROOM} keys"
        );
    }
    for _ in 0..ROOM {
        match subject
            .store
            .consume(UseRequest::new(a_key(), a_use(), uses(1), after(3_600)))
            .await
        {
            Ok(answer) => assert_eq!(
                answer,
                Consumption::Granted { remaining: 0 },
                "a new key is not spent"
            ),
            Err(error) => assert_eq!(
                error.kind(),
                StoreErrorKind::Full,
                "a full store must say so: {error}"
            ),
        }
    }
    for key in &keys {
        let answer = subject.consume(*key, a_use(), uses(1)).await;
        assert_eq!(
            answer,
            Consumption::Spent,
            "a full store must not lose a live key"
        );
    }
    subject.clock.set(after(3_601));
    for _ in 0..ROOM {
        let answer = subject
            .consume_until(a_key(), a_use(), uses(1), after(9_000))
            .await;
        assert_eq!(
            answer,
            Consumption::Granted { remaining: 0 },
            "what has expired must make room"
        );
    }
}

/// Calls the store often enough that it prunes.
async fn churn<S: ReplayStore>(subject: &Subject<S>) {
    for _ in 0..400 {
        let _ = subject
            .consume_until(a_key(), a_use(), uses(1), after(20_000))
            .await;
    }
}

const ROOM: usize = 32;
