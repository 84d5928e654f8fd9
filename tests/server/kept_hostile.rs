//! Kept answers under clients that want to harm others, and services that fail halfway.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, Request, Response, StatusCode};
use tower_x402::{
    Amount, Charge, DialectName,
    server::{ClientAddr, KeptAnswers, OwnAnswer},
};

use crate::{
    customer::{ALL, Call, HeaderLine},
    in_use::{begun, is_spent},
    journal::Journal,
    kept::{Runs, keeps, numbered, same},
    shop::{Shop, ask},
};

/// A request whose body begins and never ends.
fn endless(call: &Call, credential: &HeaderLine, bytes: usize) -> Request<Body> {
    let (mut head, _) = call.paid(credential).into_parts();
    head.headers.remove("content-length");
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![0; bytes]))]);
    Request::from_parts(head, Body::from_stream(first.chain(stream::pending())))
}

#[tokio::test]
async fn slow_bodies_of_spent_payments_leave_room_for_paid_requests() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let app = numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs);
    let call = Call::post("/a", b"abc");
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let token = call.buy(&shop, &app, DialectName::L402).await;
        assert_eq!(ask(&app, call.paid(&token)).await.status(), StatusCode::OK);
        for _ in 0..5 {
            let asked = ask(&app, endless(&call, &token, (2 << 20) - 10));
            waiting.extend(begun(Box::pin(asked)).await.err());
        }
    }
    assert!(!waiting.is_empty());
    let call = Call::post("/b", &[b'x'; 4_096]);
    for dialect in ALL {
        let token = call.buy(&shop, &app, dialect).await;
        let answer = ask(&app, call.paid(&token)).await;
        assert_eq!(answer.status(), StatusCode::OK, "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_whose_answer_is_not_kept_any_more_is_refused_before_its_body() {
    for time in [1, 60, 3_600] {
        let (shop, runs) = (Shop::new(), Runs::default());
        let kept = KeptAnswers::new(shop.store.clone()).time(Duration::from_secs(time));
        let charge = Charge::new(Amount::from_sat(10)).keep_answers(kept);
        // This dialect does not bind the body, so a challenge does not need it either.
        let app = numbered(&shop.paywall(), charge, &runs);
        let call = Call::post("/a", b"abc");
        let token = call.buy(&shop, &app, DialectName::L402).await;
        let first = ask(&app, call.paid(&token)).await;
        let advance = async |seconds| {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            shop.clock.advance(Duration::from_secs(seconds));
        };
        advance(time).await;
        same(&first, &ask(&app, call.paid(&token)).await, "it is kept");
        let waits = begun(ask(&app, endless(&call, &token, 3))).await.is_err();
        assert!(waits, "the body says which answer it is");
        advance(1).await;
        let refused = begun(ask(&app, endless(&call, &token, 3))).await;
        let refused = refused.ok().expect("it does not wait for the body");
        assert!(is_spent(&refused, DialectName::L402) || time == 3_600);
        assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED);
        assert_eq!(runs.count(), 1);
    }
}

#[tokio::test]
async fn a_token_for_several_uses_buys_an_answer_with_each() {
    for count in [2, 3, 5] {
        let (shop, runs) = (Shop::new(), Runs::default());
        let uses = Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(count).unwrap());
        let before = numbered(&shop.paywall_of_every_dialect(), uses, &runs);
        let call = Call::get("/a");
        let token = call.buy(&shop, &before, DialectName::L402).await;
        let app = numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs);
        for number in 1..=count {
            let answer = ask(&app, call.paid(&token)).await;
            assert_eq!(answer.body(), &format!("answer {number}"), "of {count}");
        }
        for _ in 0..2 {
            let answer = ask(&app, call.paid(&token)).await;
            assert!(is_spent(&answer, DialectName::L402), "{answer:?}");
        }
    }
}

fn from(address: &str, mut request: Request<Body>) -> Request<Body> {
    let client = ClientAddr::new(address.parse().unwrap());
    request.extensions_mut().insert(client);
    request
}

#[tokio::test]
async fn one_household_or_site_leaves_room_for_the_answers_to_others() {
    for network in ["2001:db8:0:", "2001:db8:0:1"] {
        let shop = Shop::new();
        let kept = KeptAnswers::new(shop.store.clone()).bytes_per_answer(16 << 10);
        let charge = Charge::new(Amount::from_sat(10)).keep_answers(kept.bytes_in_all(64 << 10));
        let layer = shop.paywall_of_every_dialect().charge(charge).unwrap();
        let app = Router::new()
            .fallback(async || vec![7; 15 << 10])
            .layer(layer);
        let call = Call::get("/a");
        let journal = Journal::begin();
        for n in 0..8 {
            let token = call.buy(&shop, &app, DialectName::L402).await;
            let address = match network.ends_with(':') {
                true => format!("{network}{n}::1"),
                false => format!("{network}{n}00::1"),
            };
            let answer = ask(&app, from(&address, call.paid(&token))).await;
            assert_eq!(answer.status(), StatusCode::OK);
        }
        let lines = journal.lines();
        let logged = lines.matches("an answer was not kept, because there is no room");
        assert_eq!(logged.count(), 1, "{lines}");
        let token = call.buy(&shop, &app, DialectName::L402).await;
        for _ in 0..2 {
            let answer = ask(&app, from("198.51.100.7", call.paid(&token))).await;
            assert_eq!(answer.status(), StatusCode::OK, "{network}");
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_logged_and_answered_with_the_operators_words() {
    for dialect in ALL {
        let shop = Shop::new();
        let builder = shop.builder_of_every_dialect();
        let builder = builder.answers(|answer: &mut OwnAnswer| {
            answer.set_body(HeaderValue::from_static("text/plain"), "later");
        });
        let handler = async || {
            let parts = [Ok("abc"), Err(std::io::Error::other("the disk is gone"))];
            Response::new(Body::from_stream(stream::iter(parts)))
        };
        let layer = builder.build().unwrap().charge(keeps(&shop)).unwrap();
        let app = Router::new().fallback(handler).layer(layer);
        let call = Call::get("/a");
        let token = call.buy(&shop, &app, dialect).await;
        let journal = Journal::begin();
        let answer = ask(&app, call.paid(&token)).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.body(), "later", "{dialect}");
        let lines = journal.lines();
        assert!(lines.contains("its body broke off"), "{lines}");
        assert!(lines.contains("the disk is gone"), "{lines}");
    }
}

#[tokio::test]
async fn a_panic_in_a_body_that_is_read_to_be_kept_is_a_failure() {
    for before in ["", "a", "abc"] {
        let (shop, calls) = (Shop::new(), Arc::new(AtomicUsize::new(0)));
        let handler = async move || {
            let number = calls.fetch_add(1, Ordering::SeqCst);
            let first = stream::iter([Ok::<_, std::io::Error>(before)]);
            let rest = stream::once(async move {
                assert_ne!(number, 0, "the first one panics");
                Ok("rest")
            });
            Response::new(Body::from_stream(first.chain(rest)))
        };
        let layer = shop.paywall_of_every_dialect().charge(keeps(&shop));
        let app = Router::new().fallback(handler).layer(layer.unwrap());
        let call = Call::get("/a");
        let token = call.buy(&shop, &app, DialectName::L402).await;
        let (panics, request) = (app.clone(), call.paid(&token));
        let asked = tokio::spawn(async move { ask(&panics, request).await.status() });
        assert!(asked.await.unwrap_err().is_panic());
        let answer = ask(&app, call.paid(&token)).await;
        assert_eq!(answer.body(), &format!("{before}rest"));
    }
}
