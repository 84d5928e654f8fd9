//! Server faults: 503 without a challenge, never a free pass, and no paid use is lost.

use std::time::Duration;

use axum::{Router, routing::get as on_get};
use bytes::Bytes;
use http::{Response, StatusCode};
use tower_x402::{
    Amount, Charge, DialectName, MemoryStore, Paywall, Secrets,
    lightning::Lie,
    server::{BoxError, PaywallBuilder},
};

use crate::{
    customer::{ALL, Call, asks_for_money},
    shop::{ORIGIN, Shop, ask, problem, reason},
    slow::Slow,
};

fn route(paywall: &Paywall) -> Router {
    let layer = paywall.charge(Amount::from_sat(10)).unwrap();
    Router::new().route("/a", on_get(async || "served").route_layer(layer))
}

#[track_caller]
fn unavailable(answer: &Response<Bytes>) {
    assert_eq!(
        answer.status(),
        StatusCode::SERVICE_UNAVAILABLE,
        "{answer:?}"
    );
    assert!(!asks_for_money(answer), "{answer:?}");
    assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(problem(answer)["type"], "about:blank");
}

fn with_store(shop: &Shop) -> (Slow<std::sync::Arc<MemoryStore>>, PaywallBuilder) {
    let store = Slow::new(shop.store.clone());
    let builder = Paywall::builder(shop.node.clone())
        .origin(ORIGIN)
        .master_secret(Secrets::test_secret(7))
        .replay_store(store.clone())
        .clock(shop.clock.clone())
        .dialects(ALL);
    (store, builder)
}

#[tokio::test]
async fn a_store_that_cannot_answer_is_503_without_a_challenge_and_takes_nothing() {
    for dialect in ALL {
        let shop = Shop::new();
        let (store, builder) = with_store(&shop);
        let app = route(&builder.build().unwrap());
        let call = Call::get("/a");
        let credential = call.buy(&shop, &app, dialect).await;
        let made = shop.node.invoices_created();
        store.fails(true);
        for _ in 0..5 {
            unavailable(&ask(&app, call.paid(&credential)).await);
        }
        assert_eq!(shop.node.invoices_created(), made);
        store.fails(false);
        assert_eq!(
            ask(&app, call.paid(&credential)).await.status(),
            StatusCode::OK,
            "{dialect}"
        );
        assert_eq!(
            ask(&app, call.paid(&credential)).await.status(),
            StatusCode::PAYMENT_REQUIRED,
            "{dialect}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_after_the_time_limit_serves_nothing_and_the_use_comes_back() {
    for dialect in ALL {
        let shop = Shop::new();
        let (store, builder) = with_store(&shop);
        let app = route(&builder.time_limit(Duration::from_secs(2)).build().unwrap());
        let call = Call::get("/a");
        let credential = call.buy(&shop, &app, dialect).await;
        store.answers_late(true);
        let asked = tokio::time::Instant::now();
        unavailable(&ask(&app, call.paid(&credential)).await);
        assert_eq!(asked.elapsed().as_secs(), 2);
        store.answers_late(false);
        assert_eq!(
            ask(&app, call.paid(&credential)).await.status(),
            StatusCode::OK,
            "{dialect}"
        );
        assert_eq!(
            ask(&app, call.paid(&credential)).await.status(),
            StatusCode::PAYMENT_REQUIRED,
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn a_full_store_is_503_without_a_challenge() {
    let shop = Shop::new();
    let full = MemoryStore::new()
        .unwrap()
        .with_clock(shop.clock.clone())
        .with_capacity(std::num::NonZeroUsize::MIN);
    let app = route(&shop.builder().replay_store(full).build().unwrap());
    let call = Call::get("/a");
    let (first, second) = (
        call.buy(&shop, &app, DialectName::L402).await,
        call.buy(&shop, &app, DialectName::L402).await,
    );
    assert_eq!(ask(&app, call.paid(&first)).await.status(), StatusCode::OK);
    unavailable(&ask(&app, call.paid(&second)).await);
    assert_eq!(reason(&ask(&app, call.paid(&first)).await), "spent");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_be_reached_or_is_too_slow_is_503() {
    let shop = Shop::new();
    let app = route(&shop.paywall_of_every_dialect());
    shop.node.reachable(false);
    unavailable(&ask(&app, Call::get("/a").request()).await);
    shop.node.reachable(true);
    shop.node.pause();
    let asked = tokio::time::Instant::now();
    unavailable(&ask(&app, Call::get("/a").request()).await);
    assert_eq!(asked.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn an_invoice_that_was_not_asked_for_is_never_offered() {
    let lies = [
        Lie::Amount,
        Lie::Description,
        Lie::Expired,
        Lie::Expiry,
        Lie::Network,
        Lie::Payee,
    ];
    for dialects in [&ALL[..], &[DialectName::L402]] {
        for lie in lies {
            let shop = Shop::new();
            let app = route(
                &shop
                    .builder()
                    .dialects(dialects.iter().copied())
                    .build()
                    .unwrap(),
            );
            shop.node.lie(lie);
            let answer = ask(&app, Call::get("/a").request()).await;
            if lie == Lie::Description && !dialects.contains(&DialectName::X402) {
                assert!(asks_for_money(&answer), "nothing binds the text");
                continue;
            }
            unavailable(&answer);
            shop.node.lie(None);
            assert!(asks_for_money(&ask(&app, Call::get("/a").request()).await));
        }
    }
}

#[tokio::test]
async fn a_credential_is_verified_without_the_node_and_without_the_price() {
    let shop = Shop::new();
    let price = tower_x402::price_fn(|q| async move {
        let refused = q
            .query("down")?
            .map(|_| BoxError::from("the price list is gone"));
        refused.map_or(Ok(Some(Amount::from_sat(10))), Err)
    });
    let priced_once = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = priced_once.clone();
    let once = tower_x402::price_fn(move |_| {
        let first = !seen.swap(true, std::sync::atomic::Ordering::SeqCst);
        async move {
            first
                .then_some(Some(Amount::from_sat(10)))
                .ok_or_else(|| BoxError::from("the price list is gone"))
        }
    });
    for dialect in ALL {
        priced_once.store(false, std::sync::atomic::Ordering::SeqCst);
        shop.node.reachable(true);
        let paywall = shop.paywall_of_every_dialect();
        let app = Router::new()
            .route(
                "/a",
                on_get(async || "served")
                    .route_layer(paywall.charge(Charge::new(once.clone())).unwrap()),
            )
            .route(
                "/b",
                on_get(async || "served")
                    .route_layer(paywall.charge(Charge::new(price.clone())).unwrap()),
            );
        let call = Call::get("/a");
        let credential = call.buy(&shop, &app, dialect).await;
        shop.node.reachable(false);
        assert_eq!(
            ask(&app, call.paid(&credential)).await.status(),
            StatusCode::OK,
            "{dialect}"
        );
        unavailable(&ask(&app, call.paid(&credential)).await);
        unavailable(&ask(&app, Call::get("/b?down").request()).await);
    }
}
