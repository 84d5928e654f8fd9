//! A receiver with a shared key, which shows anybody the preimage of an unpaid invoice.

use std::{num::NonZeroU32, time::Duration};

use axum::{Router, routing::get as on_get};
use http::StatusCode;
use tower_x402::{Amount, Charge, DialectName, Paywall, Secrets, lightning::LocalNode};

use crate::{
    customer::{ALL, Call, asks_for_money, payment_hash},
    shop::{ORIGIN, Shop, ask, problem},
    slow::Slow,
};

pub(crate) fn site(shop: &Shop, charge: impl Into<Charge>) -> (Slow<LocalNode>, Router) {
    let node = Slow::new(shop.node.clone().with_shared_key());
    let paywall = Paywall::builder(node.clone())
        .origin(ORIGIN)
        .master_secret(Secrets::test_secret(7))
        .replay_store(shop.store.clone())
        .clock(shop.clock.clone())
        .dialects(ALL)
        .build()
        .unwrap();
    let layer = paywall.charge(charge).unwrap();
    (
        node,
        Router::new().route("/a", on_get(async || "served").route_layer(layer)),
    )
}

fn uses() -> Charge {
    Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(4).unwrap())
}

fn day() -> Charge {
    Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(86_400))
}

#[tokio::test(start_paused = true)]
async fn the_preimage_of_an_unpaid_invoice_opens_nothing() {
    let call = Call::get("/a");
    for charge in [Charge::new(Amount::from_sat(10)), uses(), day()] {
        for dialect in ALL {
            let shop = Shop::new();
            let (_, app) = site(&shop, charge.clone());
            let answer = ask(&app, call.request()).await;
            let told = shop.node.preimage_of(payment_hash(&answer)).unwrap();
            let Some(credential) = call.credential(&shop, dialect, &answer, &told) else {
                continue;
            };
            let refused = ask(&app, call.paid(&credential)).await;
            // It may be a payment that the wallet has not booked yet: nobody is asked to pay twice.
            assert_eq!(
                refused.status(),
                StatusCode::SERVICE_UNAVAILABLE,
                "{dialect} {charge:?}"
            );
            assert!(
                refused.headers().contains_key("retry-after")
                    && !refused.headers().contains_key("www-authenticate")
            );
            // Nothing was spent: once it is paid, it opens.
            shop.node.settle(payment_hash(&answer)).unwrap();
            assert_eq!(
                ask(&app, call.paid(&credential)).await.status(),
                StatusCode::OK,
                "{dialect} {charge:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_settled_payment_is_asked_about_once() {
    let call = Call::get("/a");
    for charge in [uses(), day()] {
        let shop = Shop::new();
        let (node, app) = site(&shop, charge);
        let credential = call.buy(&shop, &app, DialectName::L402).await;
        let before = node.calls();
        for _ in 0..4 {
            assert_eq!(
                ask(&app, call.paid(&credential)).await.status(),
                StatusCode::OK
            );
        }
        assert_eq!(node.calls(), before + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_books_payments_late_is_given_a_moment() {
    let shop = Shop::new();
    let (_, app) = site(&shop, Amount::from_sat(10));
    let call = Call::get("/a");
    let answer = ask(&app, call.request()).await;
    let preimage = shop.node.preimage_of(payment_hash(&answer)).unwrap();
    let credential = call
        .credential(&shop, DialectName::L402, &answer, &preimage)
        .unwrap();
    let node = shop.node.clone();
    let late = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        node.settle(payment_hash(&answer)).unwrap();
    });
    assert_eq!(
        ask(&app, call.paid(&credential)).await.status(),
        StatusCode::OK
    );
    late.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_cannot_be_asked_is_503_without_a_challenge() {
    let call = Call::get("/a");
    for dialect in ALL {
        let shop = Shop::new();
        let (node, app) = site(&shop, Amount::from_sat(10));
        let credential = call.buy(&shop, &app, dialect).await;
        shop.node.reachable(false);
        let answer = ask(&app, call.paid(&credential)).await;
        assert_eq!(
            answer.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "{dialect}"
        );
        assert!(!asks_for_money(&answer));
        shop.node.reachable(true);
        node.answers_late(true);
        let answer = ask(&app, call.paid(&credential)).await;
        assert_eq!(
            answer.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "{dialect}"
        );
        node.answers_late(false);
        assert_eq!(
            ask(&app, call.paid(&credential)).await.status(),
            StatusCode::OK,
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn a_node_of_ones_own_is_not_asked() {
    let shop = Shop::new();
    let node = Slow::new(shop.node.clone());
    let paywall = Paywall::builder(node.clone())
        .origin(ORIGIN)
        .master_secret(Secrets::test_secret(7))
        .replay_store(shop.store.clone())
        .clock(shop.clock.clone())
        .dialects(ALL)
        .build()
        .unwrap();
    let app = Router::new().route(
        "/a",
        on_get(async || ()).route_layer(paywall.charge(Amount::from_sat(10)).unwrap()),
    );
    for dialect in ALL {
        let credential = Call::get("/a").buy(&shop, &app, dialect).await;
        let before = node.calls();
        assert_eq!(
            ask(&app, Call::get("/a").paid(&credential)).await.status(),
            StatusCode::OK
        );
        assert_eq!(node.calls(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn an_invoice_that_ended_unpaid_is_402_even_to_a_holder_of_its_preimage() {
    let call = Call::get("/a");
    let shop = Shop::new();
    let (_, app) = site(&shop, Amount::from_sat(10));
    let answer = ask(&app, call.request()).await;
    let told = shop.node.preimage_of(payment_hash(&answer)).unwrap();
    let credential = call
        .credential(&shop, DialectName::L402, &answer, &told)
        .unwrap();
    shop.clock.advance(Duration::from_secs(400));
    let refused = ask(&app, call.paid(&credential)).await;
    assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(
        problem(&refused)["type"],
        "https://paymentauth.org/problems/verification-failed"
    );
    assert_eq!(problem(&refused)["reason"], "unpaid");

    // It hides no good one.
    let (name, value) = call.buy(&shop, &app, DialectName::L402).await;
    let mut both = call.paid(&credential);
    both.headers_mut().append(name, value);
    assert_eq!(ask(&app, both).await.status(), StatusCode::OK);
}

fn from(request: http::Request<axum::body::Body>, client: u8) -> http::Request<axum::body::Body> {
    let mut request = request;
    request
        .extensions_mut()
        .insert(tower_x402::server::ClientAddr::new(
            [198, 51, 100, client].into(),
        ));
    request
}

#[tokio::test(start_paused = true)]
async fn a_wallet_is_asked_a_few_times_about_one_unpaid_payment_however_often_it_is_presented() {
    let call = Call::get("/a");
    for at_once in [false, true] {
        let shop = Shop::new();
        let (node, app) = site(&shop, day());
        let answer = ask(&app, call.request()).await;
        let told = shop.node.preimage_of(payment_hash(&answer)).unwrap();
        let credential = call
            .credential(&shop, DialectName::L402, &answer, &told)
            .unwrap();
        let before = node.calls();
        let requests = (0..100).map(|client| from(call.paid(&credential), client));
        if at_once {
            let answers =
                futures_util::future::join_all(requests.map(|request| ask(&app, request))).await;
            assert!(
                answers
                    .iter()
                    .all(|answer| answer.status() == StatusCode::SERVICE_UNAVAILABLE
                        && !asks_for_money(answer))
            );
        } else {
            for request in requests {
                assert_eq!(
                    ask(&app, request).await.status(),
                    StatusCode::SERVICE_UNAVAILABLE
                );
            }
        }
        let asked = node.calls() - before;
        assert!(
            (1..=6).contains(&asked),
            "{asked} look-ups, at once: {at_once}"
        );
        // Once it is settled it opens, within a second.
        shop.node.settle(payment_hash(&answer)).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (before, requests) = (
            node.calls(),
            (0..100).map(|client| from(call.paid(&credential), client)),
        );
        for answer in
            futures_util::future::join_all(requests.map(|request| ask(&app, request))).await
        {
            assert_eq!(answer.status(), StatusCode::OK);
        }
        assert_eq!(node.calls(), before + 1, "all share one look-up");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wallet_is_asked_a_bounded_number_of_times_for_one_client_and_others_do_not_notice() {
    let call = Call::get("/a");
    let shop = Shop::new();
    let (node, app) = site(&shop, day());
    let mut unpaid = Vec::new();
    for _ in 0..100 {
        let answer = ask(&app, call.request()).await;
        let told = shop.node.preimage_of(payment_hash(&answer)).unwrap();
        unpaid.push(
            call.credential(&shop, DialectName::L402, &answer, &told)
                .unwrap(),
        );
    }
    let before = node.calls();
    let asked = futures_util::future::join_all(
        unpaid
            .iter()
            .map(|credential| ask(&app, from(call.paid(credential), 1))),
    );
    assert!(asked.await.iter().all(
        |answer| answer.status() == StatusCode::SERVICE_UNAVAILABLE && !asks_for_money(answer)
    ));
    let asked = node.calls() - before;
    assert!(
        asked <= 70,
        "{asked} look-ups for 100 unpaid payments of one client"
    );
    // Payments that are settled cost a client nothing.
    for _ in 0..100 {
        let paid = call.buy(&shop, &app, DialectName::L402).await;
        assert_eq!(
            ask(&app, from(call.paid(&paid), 2)).await.status(),
            StatusCode::OK
        );
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let paid = call.buy(&shop, &app, DialectName::L402).await;
    assert_eq!(
        ask(&app, from(call.paid(&paid), 1)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_who_pays_waits_for_no_look_up_however_often_it_buys() {
    let shop = Shop::new();
    let (_, app) = site(&shop, Amount::from_sat(10));
    let call = Call::get("/a");
    let from_one_client = |mut request: http::Request<axum::body::Body>| {
        request
            .extensions_mut()
            .insert(tower_x402::server::ClientAddr::new(
                "198.51.100.1".parse().unwrap(),
            ));
        request
    };
    let start = tokio::time::Instant::now();
    for number in 0..100 {
        let answer = ask(&app, from_one_client(call.request())).await;
        let preimage = shop.node.settle(payment_hash(&answer)).unwrap();
        let credential = call
            .credential(&shop, DialectName::L402, &answer, &preimage)
            .unwrap();
        assert_eq!(
            ask(&app, from_one_client(call.paid(&credential)))
                .await
                .status(),
            StatusCode::OK,
            "{number}"
        );
    }
    assert_eq!(tokio::time::Instant::now(), start);
}

#[tokio::test(start_paused = true)]
async fn who_presents_unpaid_payments_over_and_over_keeps_nobody_at_the_same_address_from_a_first_look_up()
 {
    let call = Call::get("/a");
    let shop = Shop::new();
    let (node, app) = site(&shop, day());
    let mut unpaid = Vec::new();
    for _ in 0..64 {
        let answer = ask(&app, call.request()).await;
        let told = shop.node.preimage_of(payment_hash(&answer)).unwrap();
        unpaid.push(
            call.credential(&shop, DialectName::L402, &answer, &told)
                .unwrap(),
        );
    }
    let (begun, before) = (tokio::time::Instant::now(), node.calls());
    let attack = tokio::spawn({
        let (app, call) = (app.clone(), call.clone());
        async move {
            for credential in unpaid.iter().cycle() {
                let (app, request) = (app.clone(), from(call.paid(credential), 1));
                tokio::spawn(async move { ask(&app, request).await });
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    tokio::time::sleep(Duration::from_secs(6)).await;
    let mut neighbours = Vec::new();
    for _ in 0..8 {
        let paid = call.buy(&shop, &app, DialectName::L402).await;
        neighbours.push(from(call.paid(&paid), 1));
    }
    // The node takes a while, and meanwhile their look-ups count.
    shop.node.pause();
    let resumed = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        shop.node.resume();
    };
    let asking =
        futures_util::future::join_all(neighbours.into_iter().map(|request| ask(&app, request)));
    let (answers, ()) = futures_util::future::join(asking, resumed).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status() == StatusCode::OK)
    );
    attack.abort();
    let asked = node.calls() - before - 16;
    assert!(
        asked <= 64 + 8 * (begun.elapsed().as_secs() as usize + 1),
        "{asked} in {:?}",
        begun.elapsed()
    );
}
