//! A store whose server restarts, or whose place another server takes, while it is used.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::subject::{Setup, Subject, a_key, a_use, after, uses};
use crate::replay::{
    Consumption, ConsumptionKey, ReleaseReason, ReplayStore, StoreError, StoreErrorKind, UseId,
    UseRequest,
};

pub(super) async fn suite<S: ReplayStore>(
    open: &impl AsyncFn(Setup) -> S,
    interrupt: impl AsyncFnOnce(),
) {
    let setup = Setup::new();
    let one = Subject::open(open, setup.clone()).await;
    let other = Setup {
        is_open: true,
        ..setup
    };
    let other = Subject::open(open, other).await;
    let handles = [one, other];
    let mut before = Vec::new();
    for subject in &handles {
        before.push(Taken::before(&*subject.store).await);
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let mut takers = JoinSet::new();
    for taker in 0..TAKERS {
        let store = handles[taker % 2].store.clone();
        takers.spawn(Taken::until(store, is_over.clone()));
    }
    interrupt().await;
    for subject in &handles {
        serves_again(&*subject.store).await;
    }
    is_over.store(true, Ordering::Relaxed);
    let taken = takers.join_all().await;
    let mut checks = JoinSet::new();
    for (taker, taken) in before.into_iter().chain(taken).enumerate() {
        let here = handles[taker % 2].clone();
        let there = handles[(taker + 1) % 2].clone();
        checks.spawn(async move { taken.check(&here, &there).await });
    }
    checks.join_all().await;
}

/// What one task took, and what it gave back because nobody knew whether it was taken.
#[derive(Default)]
struct Taken {
    granted: Vec<(ConsumptionKey, UseId)>,
    given_back: Vec<ConsumptionKey>,
}

impl Taken {
    /// Takes a few uses before anything happens.
    async fn before<S: ReplayStore>(store: &S) -> Self {
        let mut taken = Self::default();
        for _ in 0..NEWEST {
            let (key, id) = (a_key(), a_use());
            let answer = ask(store, key, id).await;
            let answer = answer.unwrap_or_else(|error| panic!("consume failed: {error}"));
            assert_eq!(answer, Consumption::Granted { remaining: 0 });
            taken.granted.push((key, id));
        }
        taken
    }

    /// Takes uses until that is over.
    async fn until<S: ReplayStore>(store: Arc<S>, is_over: Arc<AtomicBool>) -> Self {
        let (mut taken, mut newest) = (Self::default(), VecDeque::new());
        while !is_over.load(Ordering::Relaxed) {
            let (key, id) = (a_key(), a_use());
            match ask(&*store, key, id).await {
                Ok(Consumption::Granted { .. }) => {
                    newest.push_back((key, id));
                    if newest.len() > NEWEST {
                        newest.pop_front();
                    }
                }
                Ok(answer) => panic!("a payment that is new was {answer:?}"),
                Err(error) => {
                    taken.granted.extend(newest.drain(..));
                    if error.kind() != StoreErrorKind::Refused {
                        assert_ne!(
                            error.kind(),
                            StoreErrorKind::Corrupt,
                            "an interruption that loses nothing passed for a loss: {error}"
                        );
                        store.release(key, id, ReleaseReason::NotServed);
                        taken.given_back.push(key);
                    }
                    tokio::time::sleep(BREATH).await;
                }
            }
            tokio::task::yield_now().await;
        }
        taken.granted.extend(newest);
        taken
    }

    async fn check<S: ReplayStore>(self, here: &Subject<S>, there: &Subject<S>) {
        for (key, id) in self.granted {
            assert_eq!(
                there.consume(key, a_use(), uses(1)).await,
                Consumption::Spent,
                "what was granted before or during an interruption was granted again"
            );
            assert_eq!(
                here.consume(key, id, uses(1)).await,
                Consumption::Granted { remaining: 0 },
                "a use id is known after an interruption"
            );
        }
        for key in self.given_back {
            let what = "a use that was given back after an error must come back";
            here.consume_released(key, uses(1), what).await;
            assert_eq!(
                there.drain(key, uses(1)).await,
                0,
                "a use that was given back after an error came back twice"
            );
        }
    }
}

/// Waits until many uses in a row are granted, so that all servers of a store are there again.
async fn serves_again<S: ReplayStore>(store: &S) {
    let (given_up, mut in_a_row) = (Instant::now() + PATIENCE, 0);
    while in_a_row < IN_A_ROW {
        in_a_row += 1;
        if let Err(error) = ask(store, a_key(), a_use()).await {
            assert!(
                Instant::now() < given_up && error.kind() != StoreErrorKind::Corrupt,
                "service must return after an interruption, without a restart: {error}"
            );
            in_a_row = 0;
            tokio::time::sleep(BREATH).await;
        }
    }
}

async fn ask<S: ReplayStore>(
    store: &S,
    key: ConsumptionKey,
    id: UseId,
) -> Result<Consumption, StoreError> {
    let request = UseRequest::new(key, id, uses(1), after(3_600));
    store.consume(request).await
}

const TAKERS: usize = 16;
/// How many granted uses of each task are checked of those between two errors.
const NEWEST: usize = 100;
const IN_A_ROW: usize = 60;
/// So that callers leave the processor to the server.
const BREATH: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(60);
