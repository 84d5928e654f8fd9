//! A credential whose use is being served: nobody is asked to pay again for what a machine on the
//! way repeated.

use std::{convert::Infallible, future::poll_fn, num::NonZeroU32, sync::Arc, task::Poll};

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header};
use tokio::sync::Semaphore;
use tower::{Layer as _, ServiceBuilder, service_fn};
use tower_x402::{Amount, Charge, DialectName, Paywall, body::RequestBody, price_fn};

use crate::{
    customer::{ALL, Call, HeaderLine, asks_for_money},
    shop::{Shop, ask, problem, reason},
    slow::Slow,
};

/// Lets handlers go on, each with one permit.
pub(crate) type Gate = Arc<Semaphore>;

/// A service whose handler waits at the gate, then answers with what the path says.
pub(crate) fn gated(paywall: &Paywall, charge: impl Into<Charge>, gate: &Gate) -> Router {
    let gate = gate.clone();
    let handler = move |uri: Uri| async move {
        gate.acquire().await.unwrap().forget();
        match uri.path() {
            "/broken" => StatusCode::BAD_GATEWAY,
            _ => StatusCode::OK,
        }
    };
    Router::new()
        .fallback(handler)
        .layer(paywall.charge(charge).unwrap())
}

/// Asks, and waits until the answer is here or the handler waits at the gate.
pub(crate) async fn begun<F: Future>(answer: F) -> Result<F::Output, std::pin::Pin<Box<F>>> {
    let mut answer = Box::pin(answer);
    for _ in 0..50 {
        let polled = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
        if let Poll::Ready(answer) = polled {
            return Ok(answer);
        }
        tokio::task::yield_now().await;
    }
    Err(answer)
}

#[track_caller]
pub(crate) fn is_in_use(answer: &Response<Bytes>, what: &str) {
    assert_eq!(answer.status(), StatusCode::CONFLICT, "{what}: {answer:?}");
    assert_eq!(answer.headers()[header::RETRY_AFTER], "5", "{what}");
    assert_eq!(
        answer.headers()[header::CACHE_CONTROL],
        "no-store",
        "{what}"
    );
    assert!(!asks_for_money(answer), "{what}: {answer:?}");
    assert_eq!(problem(answer)["title"], "The payment is in use", "{what}");
}

pub(crate) fn is_spent(answer: &Response<Bytes>, dialect: DialectName) -> bool {
    let word = match dialect {
        DialectName::X402 => "duplicate_settlement",
        DialectName::Mpp => "invalid-challenge",
        _ => "spent",
    };
    reason(answer) == word
}

#[tokio::test]
async fn a_request_that_is_repeated_while_it_is_served_is_409_and_asks_nobody_to_pay() {
    let by_body =
        || Charge::new(price_fn(|_| async { Ok(Some(Amount::from_sat(3))) })).reads_body();
    for charge in [Charge::new(Amount::from_sat(10)), by_body()] {
        for call in [
            Call::get("/a"),
            Call::post("/a", b"abc"),
            Call::new("PUT", "/a?b=c"),
        ] {
            for dialect in ALL {
                let (shop, gate) = (Shop::new(), Gate::new(Semaphore::new(0)));
                let app = gated(&shop.paywall_of_every_dialect(), charge.clone(), &gate);
                let credential = call.buy(&shop, &app, dialect).await;
                let made = shop.node.invoices_created();
                let Err(first) = begun(ask(&app, call.paid(&credential))).await else {
                    panic!("the handler waits");
                };
                for _ in 0..3 {
                    let answer = ask(&app, call.paid(&credential)).await;
                    is_in_use(&answer, &format!("{dialect} {call:?}"));
                }
                assert_eq!(shop.node.invoices_created(), made);
                gate.add_permits(1);
                assert_eq!(first.await.status(), StatusCode::OK);
                assert!(is_spent(&ask(&app, call.paid(&credential)).await, dialect));
            }
        }
    }
}

#[tokio::test]
async fn every_dialect_of_one_payment_is_in_use_together() {
    let (shop, gate) = (Shop::new(), Gate::new(Semaphore::new(0)));
    let app = gated(
        &shop.paywall_of_every_dialect(),
        Amount::from_sat(10),
        &gate,
    );
    let call = Call::get("/a");
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    let first = begun(ask(&app, call.paid(bought.of(DialectName::Mpp)))).await;
    for dialect in ALL {
        let answer = ask(&app, call.paid(bought.of(dialect))).await;
        is_in_use(&answer, dialect.as_str());
    }
    drop(first);
    // The client hung up, so nobody waits for that answer any more.
    for dialect in ALL {
        assert!(is_spent(
            &ask(&app, call.paid(bought.of(dialect))).await,
            dialect
        ));
    }
}

#[tokio::test]
async fn a_use_that_failed_while_its_repetition_was_409_is_served_again() {
    let (shop, gate) = (Shop::new(), Gate::new(Semaphore::new(0)));
    let app = gated(&shop.paywall(), Amount::from_sat(10), &gate);
    let call = Call::get("/broken");
    let credential = call.buy(&shop, &app, DialectName::L402).await;
    for _ in 0..3 {
        let Err(first) = begun(ask(&app, call.paid(&credential))).await else {
            panic!("the handler waits");
        };
        is_in_use(&ask(&app, call.paid(&credential)).await, "while it works");
        gate.add_permits(1);
        assert_eq!(first.await.status(), StatusCode::BAD_GATEWAY);
    }
    assert_eq!(reason(&ask(&app, call.paid(&credential)).await), "spent");
}

#[tokio::test]
async fn of_several_uses_all_that_are_left_are_served_and_only_the_next_is_409() {
    let (shop, gate) = (Shop::new(), Gate::new(Semaphore::new(0)));
    let charge = Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(3).unwrap());
    let app = gated(&shop.paywall(), charge, &gate);
    let call = Call::get("/a");
    let credential = call.buy(&shop, &app, DialectName::L402).await;
    let mut served = Vec::new();
    for _ in 0..3 {
        let first = begun(ask(&app, call.paid(&credential))).await;
        served.push(first.expect_err("the handler waits"));
    }
    for answered in 0..3 {
        let next = ask(&app, call.paid(&credential)).await;
        is_in_use(&next, &format!("{answered} of 3 are answered"));
        gate.add_permits(1);
        assert_eq!(served.remove(0).await.status(), StatusCode::OK);
    }
    assert_eq!(reason(&ask(&app, call.paid(&credential)).await), "spent");
}

#[tokio::test]
async fn another_credential_of_the_same_request_is_still_tried() {
    let (shop, gate) = (Shop::new(), Gate::new(Semaphore::new(0)));
    let app = gated(&shop.paywall(), Amount::from_sat(10), &gate);
    let call = Call::get("/a");
    let (one, two): (HeaderLine, HeaderLine) = (
        call.buy(&shop, &app, DialectName::L402).await,
        call.buy(&shop, &app, DialectName::L402).await,
    );
    let first = begun(ask(&app, call.paid(&one))).await;
    let both = call.with(&one).with(&two);
    let second = begun(ask(&app, both.request())).await;
    assert!(first.is_err() && second.is_err(), "both are served");
    is_in_use(&ask(&app, both.request()).await, "both are in use");
}

#[tokio::test]
async fn a_repeated_request_waits_for_no_permit_of_the_inner_service() {
    let (shop, gate) = (Shop::new(), Gate::new(Semaphore::new(0)));
    let waits = gate.clone();
    let handler = service_fn(move |_: Request<RequestBody<Body>>| {
        let waits = waits.clone();
        async move {
            waits.acquire().await.unwrap().forget();
            Ok::<_, Infallible>(Response::<Body>::default())
        }
    });
    let inner = ServiceBuilder::new().concurrency_limit(1).service(handler);
    let layer = shop.paywall_of_every_dialect().charge(Amount::from_sat(10));
    let app = layer.unwrap().layer(inner);
    let call = Call::get("/a");
    for dialect in ALL {
        let credential = call.buy(&shop, &app, dialect).await;
        let Err(first) = begun(ask(&app, call.paid(&credential))).await else {
            panic!("the handler waits");
        };
        match begun(ask(&app, call.paid(&credential))).await {
            Ok(answer) => is_in_use(&answer, dialect.as_str()),
            Err(_) => panic!("{dialect}: it waits for the permit"),
        }
        gate.add_permits(1);
        assert_eq!(first.await.status(), StatusCode::OK, "{dialect}");
    }
}

#[tokio::test]
async fn of_two_equal_requests_at_a_slow_store_one_is_served_and_the_other_is_409() {
    for dialect in ALL {
        let (shop, gate) = (Shop::new(), Gate::new(Semaphore::new(0)));
        let store = Slow::new(shop.store.clone()).hesitates();
        let paywall = shop.builder().dialects(ALL).replay_store(store).build();
        let app = gated(&paywall.unwrap(), Amount::from_sat(10), &gate);
        let call = Call::get("/a");
        let credential = call.buy(&shop, &app, dialect).await;
        let (first, second) = (
            tokio::spawn({
                let (app, request) = (app.clone(), call.paid(&credential));
                async move { ask(&app, request).await }
            }),
            begun(ask(&app, call.paid(&credential))).await,
        );
        // Whichever asked the store first is served.
        match second {
            Ok(answer) => {
                is_in_use(&answer, dialect.as_str());
                gate.add_permits(1);
                assert_eq!(first.await.unwrap().status(), StatusCode::OK);
            }
            Err(second) => {
                is_in_use(&first.await.unwrap(), dialect.as_str());
                gate.add_permits(1);
                assert_eq!(second.await.status(), StatusCode::OK);
            }
        }
    }
}

#[tokio::test]
async fn a_duration_is_never_in_use() {
    let (shop, gate) = (Shop::new(), Gate::new(Semaphore::new(0)));
    let day = std::time::Duration::from_secs(86_400);
    let charge = Charge::new(Amount::from_sat(10)).for_duration(day);
    let app = gated(&shop.paywall(), charge, &gate);
    let call = Call::get("/a");
    let credential = call.buy(&shop, &app, DialectName::L402).await;
    let first = begun(ask(&app, call.paid(&credential))).await;
    gate.add_permits(2);
    let second = ask(&app, call.paid(&credential)).await;
    assert_eq!(second.status(), StatusCode::OK);
    assert_eq!(first.err().unwrap().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_credential_that_expires_while_it_is_served_is_in_use_and_then_spent() {
    for dialect in ALL {
        for charge in [
            Charge::new(Amount::from_sat(10)),
            Charge::new(price_fn(|_| async { Ok(Some(Amount::from_sat(10))) })),
        ] {
            let shop = Shop::new();
            let gate = Gate::new(Semaphore::new(0));
            let app = gated(&shop.paywall_of_every_dialect(), charge, &gate);
            let call = Call::get("/a");
            let credential = call.buy(&shop, &app, dialect).await;
            let told = format!("{dialect}");
            let Err(first) = begun(ask(&app, call.paid(&credential))).await else {
                panic!("{told}: the handler waits")
            };
            shop.clock.advance(std::time::Duration::from_secs(400));
            is_in_use(&ask(&app, call.paid(&credential)).await, &told);
            // Of L402 the token lives for another day.
            gate.add_permits(1);
            assert_eq!(first.await.status(), StatusCode::OK, "{told}");
            let after = ask(&app, call.paid(&credential)).await;
            assert_eq!(after.status(), StatusCode::PAYMENT_REQUIRED, "{told}");
            // Another credential that has expired has nothing to do with it.
            let other = call.buy(&shop, &app, dialect).await;
            let again = call.buy(&shop, &app, dialect).await;
            let Err(_second) = begun(ask(&app, call.paid(&again))).await else {
                panic!("{told}: the handler waits")
            };
            shop.clock
                .advance(std::time::Duration::from_secs(2 * 86_400));
            let answer = ask(&app, call.paid(&other)).await;
            assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{told}");
        }
    }
}
