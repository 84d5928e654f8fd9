//! Requests that carry one payment in several dialects at once, in every order of their steps, some
//! of them dropped.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use axum::body::Body;
use http::{Request, Response, StatusCode};
use proptest::{prelude::*, test_runner::TestRunner};
use tower::{Layer as _, service_fn};
use tower_x402::Amount;

use crate::{
    customer::{ALL, Call},
    shop::{Shop, ask},
    slow::{Slow, pend},
};

#[derive(Clone, Copy, Debug)]
enum Step {
    Poll(usize),
    Drop(usize),
}

/// Which dialect each request presents, and what happens to which of them in which order.
fn plans() -> impl Strategy<Value = (Vec<usize>, Vec<Step>)> {
    let step = (0..6_usize, 0..12_u8).prop_map(|(task, kind)| {
        if kind == 0 {
            Step::Drop(task)
        } else {
            Step::Poll(task)
        }
    });
    (
        prop::collection::vec(0..3_usize, 2..6),
        prop::collection::vec(step, 0..40),
    )
}

fn run(dialects: &[usize], steps: &[Step]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _context = runtime.enter();
    let shop = Shop::new();
    let paywall = shop
        .builder_of_every_dialect()
        .replay_store(Slow::new(shop.store.clone()).hesitates())
        .build()
        .unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let handler = service_fn(move |_: Request<_>| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            pend(2).await;
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }
    });
    let app = paywall.charge(Amount::from_sat(10)).unwrap().layer(handler);
    let call = Call::new("GET", "/weather");
    let bought = shop.bought(&call, &runtime.block_on(ask(&app, call.request())));
    let present = |dialect: usize| ask(&app, call.with(bought.of(ALL[dialect])).request());

    let mut tasks: Vec<_> = dialects
        .iter()
        .map(|dialect| Some(tokio_test::task::spawn(present(*dialect))))
        .collect();
    let mut answers = Vec::new();
    let mut dropped = false;
    let rest = (0..40)
        .flat_map(|_| (0..tasks.len()).map(Step::Poll))
        .collect::<Vec<_>>();
    for step in steps.iter().chain(&rest) {
        match *step {
            Step::Poll(task) => {
                let Some(slot) = tasks.get_mut(task) else {
                    continue;
                };
                if let Some(Poll::Ready(answer)) = slot.as_mut().map(|task| task.poll()) {
                    answers.push(answer.status());
                    *slot = None;
                }
            }
            Step::Drop(task) => {
                dropped |= tasks
                    .get_mut(task)
                    .is_some_and(|slot| slot.take().is_some())
            }
        }
    }
    prop_assert!(
        tasks.iter().all(Option::is_none),
        "a request did not come to its end"
    );
    let served = answers
        .iter()
        .filter(|status| **status == StatusCode::OK)
        .count();
    prop_assert!(
        answers.iter().all(|status| [
            StatusCode::OK,
            StatusCode::PAYMENT_REQUIRED,
            StatusCode::CONFLICT
        ]
        .contains(status)),
        "{answers:?}"
    );
    let first = |status| answers.iter().position(|answer| *answer == status);
    prop_assert!(
        dropped
            || first(StatusCode::PAYMENT_REQUIRED)
                .is_none_or(|asked| first(StatusCode::OK).is_some_and(|served| served < asked)),
        "somebody was asked to pay again while the payment was in use: {answers:?}"
    );
    prop_assert!(
        served <= 1 && runs.load(Ordering::SeqCst) <= 1,
        "one payment was served twice: {answers:?}"
    );
    prop_assert!(
        dropped || served == 1,
        "one payment was not served: {answers:?}"
    );

    // What nobody was served for is not lost, and what somebody was served for is gone.
    let before = runs.load(Ordering::SeqCst);
    let again = runtime.block_on(present(0)).status();
    prop_assert_eq!(
        again,
        if before == 0 {
            StatusCode::OK
        } else {
            StatusCode::PAYMENT_REQUIRED
        }
    );
    prop_assert_eq!(runs.load(Ordering::SeqCst), 1);
    Ok(())
}

#[test]
fn one_payment_runs_the_handler_once_however_its_dialects_race() {
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&plans(), |(dialects, steps)| run(&dialects, &steps))
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_payment_in_three_dialects_and_sixty_tasks_runs_the_handler_once() {
    for _ in 0..20 {
        let shop = Shop::new();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        let handler = axum::routing::get(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            async { "sunny" }
        });
        let layer = shop
            .paywall_of_every_dialect()
            .charge(Amount::from_sat(10))
            .unwrap();
        let app = axum::Router::new().route("/weather", handler.route_layer(layer));
        let call = Call::new("GET", "/weather");
        let bought = shop.bought(&call, &ask(&app, call.request()).await);
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..60 {
            let (app, call) = (app.clone(), call.with(bought.of(ALL[task % 3])));
            tasks.spawn(async move { ask(&app, call.request()).await.status() });
        }
        let served = tasks
            .join_all()
            .await
            .into_iter()
            .filter(|status| *status == StatusCode::OK)
            .count();
        assert_eq!((served, runs.load(Ordering::SeqCst)), (1, 1));
    }
}
