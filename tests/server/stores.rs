//! A store that cannot answer: 503, never a free pass, never a new challenge, and nothing is lost.

use std::{num::NonZeroUsize, time::Duration};

use axum::{Router, routing::get as on_get};
use bytes::Bytes;
use http::{Response, StatusCode};
use tower_x402::{Amount, Charge, MemoryStore};

use crate::{
    customer::{ALL, Call},
    journal::Journal,
    shop::{Shop, ask, get, problem},
    slow::Slow,
};

#[track_caller]
fn is_our_fault(answer: &Response<Bytes>) {
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "5");
    for challenge in ["www-authenticate", "payment-required", "payment-response"] {
        assert!(
            !answer.headers().contains_key(challenge),
            "clients would pay again"
        );
    }
    assert_eq!(problem(answer)["type"], "about:blank");
}

#[tokio::test(start_paused = true)]
async fn a_store_in_trouble_serves_nobody_asks_for_no_payment_and_spends_nothing() {
    let shop = Shop::new();
    let store = Slow::new(shop.store.clone());
    let paywall = shop
        .builder_of_every_dialect()
        .replay_store(store.clone())
        .max_restores(0)
        .build()
        .unwrap();
    let layer = paywall.charge(Amount::from_sat(10)).unwrap();
    let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
    let call = Call::new("GET", "/weather");
    for dialect in ALL {
        let paid = call.with(
            shop.bought(&call, &ask(&app, call.request()).await)
                .of(dialect),
        );
        let invoices = shop.node.invoices_created();
        for trouble in [Slow::fails_at_once, Slow::hangs, Slow::answers_late] {
            trouble(&store, true);
            is_our_fault(&ask(&app, paid.request()).await);
            trouble(&store, false);
        }
        assert_eq!(shop.node.invoices_created(), invoices);
        assert_eq!(
            ask(&app, paid.request()).await.status(),
            StatusCode::OK,
            "{dialect}: what was paid is lost"
        );
        assert_eq!(
            ask(&app, paid.request()).await.status(),
            StatusCode::PAYMENT_REQUIRED
        );
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_store_fails_nothing_is_sold_that_it_must_count() {
    let journal = Journal::begin();
    let shop = Shop::new();
    let store = Slow::new(shop.store.clone());
    let builder = shop.builder_of_every_dialect();
    let paywall = builder.replay_store(store.clone()).build().unwrap();
    let once = Charge::new(Amount::from_sat(10));
    let day = once.clone().for_duration(Duration::from_secs(86_400));
    let (once, day) = (paywall.charge(once).unwrap(), paywall.charge(day).unwrap());
    let app = Router::new()
        .route("/once", on_get(async || "sunny").route_layer(once))
        .route("/day", on_get(async || "sunny").route_layer(day));
    let call = Call::new("GET", "/once");
    let sold = || ask(&app, call.request());
    let paid = call.with(shop.bought(&call, &sold().await).of(ALL[0]));
    for is_probed in [false, true] {
        store.fails_at_once(true);
        if is_probed {
            assert!(paywall.ready().await.is_err());
        } else {
            is_our_fault(&ask(&app, paid.request()).await);
        }
        let invoices = shop.node.invoices_created();
        for _ in 0..3 {
            is_our_fault(&sold().await);
        }
        assert_eq!(shop.node.invoices_created(), invoices);
        // Its credential is good without the store.
        let day = ask(&app, get("/day")).await;
        assert_eq!(day.status(), StatusCode::PAYMENT_REQUIRED);

        // A probe each second finds out that it is well again.
        store.fails_at_once(false);
        is_our_fault(&sold().await);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(sold().await.status(), StatusCode::PAYMENT_REQUIRED);
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    assert_eq!(ask(&app, paid.request()).await.status(), StatusCode::OK);
    let once = "ERROR tower_x402 message=no use was consumed: the test's store is not available: the disk is full\n\
                INFO tower_x402 message=the store of spent payments answers again\n";
    let lines = journal.lines();
    let of_store = lines.lines().filter(|line| line.contains("store"));
    let of_store: String = of_store.map(|line| format!("{line}\n")).collect();
    assert_eq!(of_store, once.repeat(2));
}

#[tokio::test]
async fn a_store_that_is_full_forgets_nothing_that_is_live() {
    let shop = Shop::new();
    let store = MemoryStore::new()
        .unwrap()
        .with_clock(shop.clock.clone())
        .with_capacity(NonZeroUsize::MIN);
    let paywall = shop
        .builder_of_every_dialect()
        .replay_store(store)
        .build()
        .unwrap();
    let layer = paywall.charge(Amount::from_sat(10)).unwrap();
    let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
    let call = Call::new("GET", "/weather");
    let (first, second) = (
        ask(&app, call.request()).await,
        ask(&app, call.request()).await,
    );
    let (first, second) = (shop.bought(&call, &first), shop.bought(&call, &second));
    for dialect in ALL {
        let answer = ask(&app, call.with(first.of(dialect)).request()).await;
        let is_served = answer.status() == StatusCode::OK;
        assert_eq!(is_served, dialect == ALL[0], "{answer:?}");
        is_our_fault(&ask(&app, call.with(second.of(dialect)).request()).await);
    }
}

#[tokio::test]
async fn what_was_not_paid_is_not_stored() {
    let shop = Shop::new();
    let store = MemoryStore::new()
        .unwrap()
        .with_clock(shop.clock.clone())
        .with_capacity(NonZeroUsize::MIN);
    let layer = shop
        .builder_of_every_dialect()
        .replay_store(store)
        .build()
        .unwrap()
        .charge(Amount::from_sat(10))
        .unwrap();
    let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
    let call = Call::new("GET", "/weather");
    for _ in 0..300 {
        assert_eq!(
            ask(&app, call.request()).await.status(),
            StatusCode::PAYMENT_REQUIRED
        );
    }
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    assert_eq!(
        ask(&app, call.with(bought.of(ALL[2])).request())
            .await
            .status(),
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn a_use_is_given_back_only_if_nobody_knows_whether_it_was_taken() {
    let shop = Shop::new();
    let store = Slow::new(shop.store.clone());
    let site = || {
        let paywall = shop
            .builder_of_every_dialect()
            .replay_store(store.clone())
            .build()
            .unwrap();
        let layer = paywall.charge(Amount::from_sat(10)).unwrap();
        Router::new().route("/weather", on_get(async || "sunny").route_layer(layer))
    };
    let (app, replica) = (site(), site());
    let call = Call::new("GET", "/weather");
    for dialect in ALL {
        let paid = call.with(
            shop.bought(&call, &ask(&app, call.request()).await)
                .of(dialect),
        );
        for (trouble, releases) in [
            (Slow::refuses as fn(&Slow<_>, bool), 0),
            (Slow::fails, 1),
            (Slow::answers_late, 1),
        ] {
            let before = store.releases();
            trouble(&store, true);
            is_our_fault(&ask(&app, paid.request()).await);
            trouble(&store, false);
            assert_eq!(store.releases() - before, releases, "{dialect}");
        }
        let before = store.releases();
        assert_eq!(
            ask(&app, paid.request()).await.status(),
            StatusCode::OK,
            "{dialect}"
        );
        for _ in 0..3 {
            assert_eq!(
                ask(&app, paid.request()).await.status(),
                StatusCode::PAYMENT_REQUIRED
            );
        }
        // One that has not seen it spent asks the store.
        assert_eq!(
            ask(&replica, paid.request()).await.status(),
            StatusCode::PAYMENT_REQUIRED
        );
        assert_eq!(
            store.releases(),
            before,
            "what was served or is spent stays taken: {dialect}"
        );
    }
}
