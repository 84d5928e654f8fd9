//! Uses that come together are answered as the store in memory answers them one after the other.

use std::{num::NonZeroU32, time::Duration};

use futures_util::future::join_all;
use proptest::{collection::vec, prelude::*};
use tower_x402::{
    clock::{Clock as _, TestClock, Timestamp},
    replay::{Consumption, MemoryStore, ReleaseReason, ReplayStore, UseId, UseLimits, UseRequest},
};

use crate::{
    key,
    server::{Server, programs},
    with_clock,
};

const PAYMENTS: u64 = 40;
const IDS: usize = 6;

#[derive(Clone, Copy, Debug)]
enum Step {
    Take,
    GiveBack(ReleaseReason),
    Served,
    Nothing,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => Just(Step::Take),
        1 => Just(Step::GiveBack(ReleaseReason::Failed)),
        1 => Just(Step::GiveBack(ReleaseReason::NotServed)),
        1 => Just(Step::Served),
        2 => Just(Step::Nothing),
    ]
}

/// In each round something is done to each payment, at once.
fn rounds() -> impl Strategy<Value = Vec<(u64, Vec<(Step, usize)>)>> {
    let round = (0..20_u64, vec((step(), 0..IDS), PAYMENTS as usize));
    vec(round, 12)
}

/// A payment's own limits: one to three uses, of which none to two are given back if they fail.
fn limits(payment: u64) -> UseLimits {
    let uses = NonZeroU32::new(1 + (payment % 3) as u32).unwrap();
    UseLimits::new(uses, (payment / 3 % 3) as u32)
}

async fn carry_out(
    store: &dyn ReplayStore,
    now: Timestamp,
    round: &[(Step, usize)],
    ids: &[[UseId; IDS]],
) -> Vec<Option<Consumption>> {
    let steps = (0..).zip(round).map(async |(payment, (step, id))| {
        let (key, use_id) = (key(payment), ids[payment as usize][*id]);
        match step {
            Step::Take => {
                let request = UseRequest::new(key, use_id, limits(payment), Timestamp::MAX)
                    .with_serving_until(now.saturating_add(Duration::from_secs(15)));
                return Some(store.consume(request).await.unwrap());
            }
            Step::GiveBack(why) => store.release(key, use_id, *why),
            Step::Served => store.serving().unwrap().served(key, use_id),
            Step::Nothing => {}
        }
        None
    });
    let answers = join_all(steps).await;
    store.flush().await;
    answers
}

#[test]
fn uses_at_once_are_answered_as_by_the_store_in_memory() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let config = ProptestConfig {
            cases: 48,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        proptest!(config, |(rounds in rounds())| {
            runtime.block_on(async {
                let clock = TestClock::at(Timestamp::from_unix_seconds(1_800_000_000));
                server.ask(&["FLUSHALL"]);
                let redis = with_clock(&server.url("shop"), &clock).await;
                let memory = MemoryStore::new().unwrap().with_clock(clock.clone());
                let ids: Vec<[UseId; IDS]> = (0..PAYMENTS)
                    .map(|_| std::array::from_fn(|_| UseId::random().unwrap()))
                    .collect();
                for (number, (pause, round)) in rounds.iter().enumerate() {
                    clock.advance(Duration::from_secs(*pause));
                    let now = clock.now();
                    let expected = carry_out(&memory, now, round, &ids).await;
                    let answers = carry_out(&redis, now, round, &ids).await;
                    for (payment, answers) in answers.iter().zip(&expected).enumerate() {
                        assert_eq!(answers.0, answers.1, "payment {payment}, round {number}");
                    }
                }
            });
        });
    }
}
