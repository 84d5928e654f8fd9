//! One credential, two hundred tasks at once.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, routing::get as on_get};
use http::StatusCode;
use tower_x402::{
    Amount, Charge, DialectName, DurableStore,
    replay::{DurableOptions, ReplayStore},
};

use crate::{
    customer::{ALL, Call, asks_for_money},
    shop::{Shop, ask},
};

const TASKS: usize = 200;

fn durable(shop: &Shop, folder: &tempfile::TempDir) -> DurableStore {
    DurableStore::open_with(
        folder.path(),
        DurableOptions::new().clock(shop.clock.clone()),
    )
    .unwrap()
}

/// Presents one credential from so many tasks at once; answers how many were served, and how often
/// the handler ran.
async fn race(
    shop: &Shop,
    store: impl ReplayStore,
    charge: Charge,
    dialect: DialectName,
) -> (usize, usize) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let handler = move || async move {
        counted.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    };
    let builder = shop
        .builder()
        .dialects(ALL)
        .replay_store(store)
        .max_unpaid_per_client(10_000);
    let layer = builder.build().unwrap().charge(charge).unwrap();
    let app = Router::new().route("/a", on_get(handler).route_layer(layer));
    let call = Call::get("/a");
    let credential = call.buy(shop, &app, dialect).await;
    let start = Arc::new(tokio::sync::Barrier::new(TASKS));
    let racing: Vec<_> = (0..TASKS)
        .map(|_| {
            let (app, request, start) = (app.clone(), call.paid(&credential), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                let answer = ask(&app, request).await;
                let is_in_use = answer.status() == StatusCode::CONFLICT;
                assert!(
                    answer.status().is_success() || is_in_use != asks_for_money(&answer),
                    "{answer:?}"
                );
                answer.status() == StatusCode::OK
            })
        })
        .collect();
    let mut served = 0;
    for answer in racing {
        served += usize::from(answer.await.unwrap());
    }
    (served, runs.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_credential_presented_by_200_tasks_runs_the_handler_once() {
    for dialect in ALL {
        for _ in 0..5 {
            let shop = Shop::new();
            let store = shop.store.clone();
            assert_eq!(
                race(&shop, store, Amount::from_sat(10).into(), dialect).await,
                (1, 1),
                "{dialect}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_credential_presented_by_200_tasks_runs_the_handler_once_with_the_durable_store() {
    for dialect in ALL {
        let (shop, folder) = (Shop::new(), tempfile::tempdir().unwrap());
        let store = durable(&shop, &folder);
        assert_eq!(
            race(&shop, store, Amount::from_sat(10).into(), dialect).await,
            (1, 1),
            "{dialect}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn seven_uses_serve_seven_of_200_tasks() {
    let charge = Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(7).unwrap());
    let (shop, folder) = (Shop::new(), tempfile::tempdir().unwrap());
    let store = durable(&shop, &folder);
    assert_eq!(
        race(&shop, store, charge.clone(), DialectName::L402).await,
        (7, 7)
    );
    let store = shop.store.clone();
    assert_eq!(race(&shop, store, charge, DialectName::L402).await, (7, 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_always_fails_runs_three_times_for_200_tasks() {
    let shop = Shop::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let handler = move || async move {
        counted.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        StatusCode::BAD_GATEWAY
    };
    let layer = shop
        .builder()
        .max_unpaid_per_client(10_000)
        .build()
        .unwrap()
        .charge(Amount::from_sat(10))
        .unwrap();
    let app = Router::new().route("/a", on_get(handler).route_layer(layer));
    let call = Call::get("/a");
    let credential = call.buy(&shop, &app, DialectName::L402).await;
    let racing: Vec<_> = (0..TASKS)
        .map(|_| {
            let (app, request) = (app.clone(), call.paid(&credential));
            tokio::spawn(async move { ask(&app, request).await.status() })
        })
        .collect();
    for answer in racing {
        assert!(
            [
                StatusCode::BAD_GATEWAY,
                StatusCode::CONFLICT,
                StatusCode::PAYMENT_REQUIRED
            ]
            .contains(&answer.await.unwrap())
        );
    }
    assert!(runs.load(Ordering::SeqCst) <= 3);
    for _ in 0..5 {
        ask(&app, call.paid(&credential)).await;
    }
    assert_eq!(runs.load(Ordering::SeqCst), 3);
}
