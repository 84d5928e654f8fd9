//! How often a price function runs for proofs of another issuer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, routing::get as on_get};
use http::{Request, StatusCode};
use tower_x402::{
    Amount, Charge, Secrets,
    server::{ClientAddr, price_fn},
};

use crate::{
    customer::Call,
    forged::{by_a_sub_wallet, genuine, presented},
    shop::{Lasting, Shop, ask, reason},
};

/// A service that takes proofs of others, the price of which is a function; its runs, and the price
/// in satoshis.
fn priced(shop: &Shop) -> (Router, Arc<AtomicUsize>, Arc<AtomicU32>) {
    let (runs, price) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU32::new(11)));
    let (counted, told) = (runs.clone(), price.clone());
    let function = price_fn(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        let price = told.load(Ordering::SeqCst);
        async move { Ok(Some(Amount::from_sat(price))) }
    });
    let builder = shop
        .builder_of_every_dialect()
        .replay_store(Lasting(shop.store.clone()))
        .master_secret(Secrets::test_secret(8))
        .accept_foreign_proofs()
        .max_unpaid_per_client(1);
    let layer = builder
        .build()
        .unwrap()
        .charge(Charge::new(function))
        .unwrap();
    (
        Router::new().route("/weather", on_get(async || "sunny").route_layer(layer)),
        runs,
        price,
    )
}

fn from(call: &Call, payload: &serde_json::Value, client: u8) -> Request<Body> {
    let mut request = presented(call, payload);
    request
        .extensions_mut()
        .insert(ClientAddr::new([198, 51, 100, client].into()));
    request
}

#[tokio::test(start_paused = true)]
async fn one_proof_of_another_issuer_runs_the_price_function_a_few_times_only_and_is_served_when_its_price_is_asked()
 {
    let shop = Shop::new();
    let (app, runs, price) = priced(&shop);
    let (proof, call, _) = genuine(&shop).await;
    for request in 0..200 {
        let answer = ask(&app, from(&call, &proof, 1)).await;
        let expected = if request == 0 {
            StatusCode::PAYMENT_REQUIRED
        } else {
            StatusCode::TOO_MANY_REQUESTS
        };
        assert_eq!(answer.status(), expected);
        assert!(request == 0 || answer.headers().contains_key("retry-after"));
    }
    // Two for the credential, one for the challenge.
    assert_eq!(runs.load(Ordering::SeqCst), 3);

    // Nobody but this payment waits, and it not for ever.
    price.store(10, Ordering::SeqCst);
    let other = by_a_sub_wallet(&shop, &proof, 10_000).await;
    assert_eq!(
        ask(&app, from(&call, &other, 1)).await.status(),
        StatusCode::OK
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(
        ask(&app, from(&call, &proof, 1)).await.status(),
        StatusCode::OK
    );

    // Known to be spent: it has no price.
    let before = runs.load(Ordering::SeqCst);
    for client in 2..200 {
        assert_eq!(
            reason(&ask(&app, from(&call, &proof, client)).await),
            "duplicate_settlement"
        );
    }
    assert_eq!(
        runs.load(Ordering::SeqCst) - before,
        198,
        "one for each challenge, none for the credential"
    );
}

#[tokio::test(start_paused = true)]
async fn one_client_with_many_proofs_of_another_issuer_runs_the_price_function_as_often_as_its_pace_allows()
 {
    let shop = Shop::new();
    let (app, runs, price) = priced(&shop);
    let (proof, call, _) = genuine(&shop).await;
    for _ in 0..100 {
        let cheap = by_a_sub_wallet(&shop, &proof, 1).await;
        ask(&app, from(&call, &cheap, 1)).await;
    }
    assert_eq!(runs.load(Ordering::SeqCst), 64 + 1);
    // Another client does not notice, however many good proofs it has.
    price.store(10, Ordering::SeqCst);
    for _ in 0..100 {
        let good = by_a_sub_wallet(&shop, &proof, 10_000).await;
        assert_eq!(
            ask(&app, from(&call, &good, 2)).await.status(),
            StatusCode::OK
        );
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        ask(&app, from(&call, &proof, 1)).await.status(),
        StatusCode::OK
    );
}
