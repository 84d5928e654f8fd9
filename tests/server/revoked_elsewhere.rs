//! Revocations that one process writes and another one honours.

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::get as on_get};
use http::StatusCode;
use tower_x402::{
    Amount, Charge, Paywall,
    clock::Timestamp,
    replay::{DurableOptions, DurableStore, Revocations},
};

use crate::{
    customer::{ALL, Call, payment_hash},
    kept_slow::SlowRecords,
    shop::{NOW, Shop, ask, get, paid, reason},
};

const END: Timestamp = Timestamp::from_unix_seconds(NOW + 86_400);

fn day() -> Charge {
    Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(86_400))
}

fn route(paywall: &Paywall, charge: impl Into<Charge>) -> Router {
    let layer = paywall.charge(charge).unwrap();
    Router::new().route("/a", on_get(async || "served").route_layer(layer))
}

#[tokio::test]
async fn what_one_process_revokes_another_one_refuses_after_a_refresh() {
    let shop = Shop::new();
    // Two servers, and a third process that sells nothing.
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(Revocations::load(shop.store.clone()).await.unwrap());
    }
    let [one, two, office] = &processes[..] else {
        panic!("three")
    };
    let apps = [one, two].map(|revocations| {
        let builder = shop.builder_of_every_dialect();
        let paywall = builder.revocations(revocations.clone()).build().unwrap();
        (
            route(&paywall, day()),
            route(&paywall, Amount::from_sat(10)),
        )
    });
    let answer = ask(&apps[0].0, get("/a")).await;
    let token = shop.pay(&answer);
    let other = shop.buy(&apps[0].0, get("/a")).await;
    office.revoke(payment_hash(&answer), END).await.unwrap();
    let mut once = Vec::new();
    let call = Call::get("/a");
    for dialect in ALL {
        let answer = ask(&apps[0].1, call.request()).await;
        let preimage = shop.node.settle(payment_hash(&answer)).unwrap();
        let credential = call.credential(&shop, dialect, &answer, &preimage);
        once.push(credential.expect("it is offered"));
        office.revoke(payment_hash(&answer), END).await.unwrap();
    }
    for (number, (by_day, by_use)) in apps.iter().enumerate() {
        let before = ask(by_day, paid("/a", &token)).await;
        assert_eq!(before.status(), StatusCode::OK, "it was not told yet");
        processes[number].refresh().await.unwrap();
        let after = ask(by_day, paid("/a", &token)).await;
        assert_eq!(reason(&after), "revoked", "{number}");
        let kept = ask(by_day, paid("/a", &other)).await;
        assert_eq!(kept.status(), StatusCode::OK, "{number}");
        for credential in &once {
            let refused = ask(by_use, call.paid(credential)).await;
            assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED, "{number}");
        }
    }
}

#[tokio::test]
async fn a_revocation_outlives_restarts_of_the_store_and_of_every_process() {
    let shop = Shop::new();
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        let options = DurableOptions::new().clock(shop.clock.clone());
        let store = Arc::new(DurableStore::open_with(folder.path(), options).unwrap());
        let revocations = Revocations::load(store.clone()).await.unwrap();
        let builder = shop.builder().replay_store(store);
        let paywall = builder.revocations(revocations.clone()).build().unwrap();
        (route(&paywall, day()), revocations)
    };
    let (app, revocations) = start().await;
    let answer = ask(&app, get("/a")).await;
    let token = shop.pay(&answer);
    assert_eq!(ask(&app, paid("/a", &token)).await.status(), StatusCode::OK);
    revocations
        .revoke(payment_hash(&answer), END)
        .await
        .unwrap();
    drop((app, revocations));
    for restart in 0..2 {
        let (app, revocations) = start().await;
        let refused = ask(&app, paid("/a", &token)).await;
        assert_eq!(reason(&refused), "revoked", "{restart}");
        revocations.refresh().await.unwrap();
        let refused = ask(&app, paid("/a", &token)).await;
        assert_eq!(reason(&refused), "revoked", "{restart}");
    }
}

#[tokio::test]
async fn records_that_cannot_be_read_make_no_revocation_forgotten() {
    let shop = Shop::new();
    let records = Arc::new(SlowRecords::new(shop.store.clone()));
    let office = Revocations::load(shop.store.clone()).await.unwrap();
    let revocations = Revocations::load(records.clone()).await.unwrap();
    let builder = shop.builder().revocations(revocations.clone());
    let app = route(&builder.build().unwrap(), day());
    let answers = [ask(&app, get("/a")).await, ask(&app, get("/a")).await];
    let tokens = answers.each_ref().map(|answer| shop.pay(answer));
    office.revoke(payment_hash(&answers[0]), END).await.unwrap();
    revocations.refresh().await.unwrap();
    records.fails(true);
    office.revoke(payment_hash(&answers[1]), END).await.unwrap();
    revocations.refresh().await.unwrap_err();
    let refused = ask(&app, paid("/a", &tokens[0])).await;
    assert_eq!(reason(&refused), "revoked");
    records.fails(false);
    revocations.refresh().await.unwrap();
    for token in &tokens {
        assert_eq!(reason(&ask(&app, paid("/a", token)).await), "revoked");
    }
}
