//! Bodies of payments that are spent, or that the store reported as spent.

use std::num::NonZeroU32;

use axum::{Router, routing::post};
use bytes::Bytes;
use http::StatusCode;
use tower_x402::{Amount, DialectName, server::Charge};

use crate::{
    customer::ALL,
    shares::{LIMIT, buy, call, for_one_body, priced_by_the_body, service, stalled, start},
    shop::{Shop, ask, reason},
};

#[tokio::test(start_paused = true)]
async fn the_body_of_a_payment_that_is_known_to_be_spent_is_not_held() {
    let twice = || priced_by_the_body().uses(NonZeroU32::new(2).unwrap());
    for (charge, dialects, uses) in [
        (Charge::new(Amount::from_sat(10)), &ALL[1..], 1),
        (priced_by_the_body(), &ALL[..], 1),
        (twice(), &ALL[..1], 2),
    ] {
        for dialect in dialects {
            let shop = Shop::new();
            let app = service(&for_one_body(&shop), charge.clone());
            let call = call(4 << 10);
            let paid = call.with(buy(&shop, &app, &call).await.of(*dialect));
            let spent = call.with(buy(&shop, &app, &call).await.of(*dialect));
            for _ in 0..uses {
                assert_eq!(
                    ask(&app, spent.request()).await.status(),
                    StatusCode::OK,
                    "{dialect}"
                );
            }
            // What stalls here is a fresh challenge at most, whose body comes out of the other
            // half.
            let (waiting, _) = start(
                &app,
                (0..20).map(|client| stalled(&spent, (4 << 10) - 1, client)),
            );
            assert!(!waiting.is_empty());
            assert_eq!(
                ask(&app, paid.request()).await.status(),
                StatusCode::OK,
                "{dialect}"
            );
            drop(waiting);
            let refused = ask(&app, spent.request()).await;
            let word = if *dialect == DialectName::X402 {
                "duplicate_settlement"
            } else {
                "spent"
            };
            assert!(
                reason(&refused).contains(word) || *dialect == DialectName::Mpp,
                "{}",
                reason(&refused)
            );
        }
    }
}

#[tokio::test]
async fn a_payment_whose_use_another_replica_gives_back_is_not_remembered_as_spent() {
    let shop = Shop::new();
    let (one, two) = (
        shop.paywall_of_every_dialect(),
        shop.paywall_of_every_dialect(),
    );
    let (fail, failing) = tokio::sync::oneshot::channel::<()>();
    let failing = std::sync::Arc::new(tokio::sync::Mutex::new(Some(failing)));
    let fails = post(move |_: Bytes| {
        let failing = failing.clone();
        async move {
            if let Some(failing) = failing.lock().await.take() {
                let _ = failing.await;
            }
            StatusCode::INTERNAL_SERVER_ERROR
        }
    });
    let one = Router::new().route(
        "/render",
        fails.route_layer(one.charge(priced_by_the_body()).unwrap()),
    );
    let two = service(&two, priced_by_the_body());
    let call = call(100);
    let paid = call.with(buy(&shop, &two, &call).await.of(DialectName::L402));
    let mut serving = tokio_test::task::spawn(ask(&one, paid.request()));
    assert!(serving.poll().is_pending());
    assert_eq!(
        ask(&two, paid.request()).await.status(),
        StatusCode::CONFLICT,
        "it is in use"
    );
    fail.send(()).unwrap();
    assert_eq!(serving.await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    // The first replica failed it, and it may be presented again, at either.
    assert_eq!(
        ask(&one, paid.request()).await.status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
    assert_eq!(ask(&two, paid.request()).await.status(), StatusCode::OK);
    for replica in [&one, &two] {
        assert_eq!(reason(&ask(replica, paid.request()).await), "spent");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_of_payments_that_the_store_called_spent_hold_a_small_part_together_and_the_store_is_asked_about_them()
 {
    let shop = Shop::new();
    let (one, two) = (
        shop.paywall_of_every_dialect(),
        shop.paywall_of_every_dialect(),
    );
    let (one, two) = (
        service(&one, Amount::from_sat(10)),
        service(&two, Amount::from_sat(10)),
    );
    let (large, mut stalling) = (call(LIMIT), Vec::new());
    for client in 0..16 {
        let spent = large.with(buy(&shop, &one, &large).await.of(DialectName::X402));
        assert_eq!(ask(&one, spent.request()).await.status(), StatusCode::OK);
        assert_eq!(
            reason(&ask(&two, spent.request()).await),
            "duplicate_settlement"
        );
        stalling.push(stalled(&spent, LIMIT - 1, client));
    }
    let paid = large.with(buy(&shop, &two, &large).await.of(DialectName::X402));
    let (waiting, refused) = start(&two, stalling);
    assert_eq!((waiting.len(), refused), (2, 14));
    assert_eq!(ask(&two, paid.request()).await.status(), StatusCode::OK);
}
