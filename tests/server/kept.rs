//! Answers that are kept for payers that never received them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use tower_x402::{
    Amount, Charge, DialectName, Paywall,
    l402::{Credential, Scheme},
    price_fn,
    server::{KeptAnswers, PaywallBuilder},
};

use crate::{
    customer::{ALL, Call, HeaderLine, asks_for_money},
    in_use::is_spent,
    shop::{Shop, ask},
};

/// How often a handler ran.
#[derive(Clone, Default)]
pub(crate) struct Runs(Arc<AtomicUsize>);

impl Runs {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) fn kept(shop: &Shop) -> KeptAnswers {
    KeptAnswers::new(shop.store.clone())
}

pub(crate) fn keeps(shop: &Shop) -> Charge {
    Charge::new(Amount::from_sat(10)).keep_answers(kept(shop))
}

/// A service that numbers its answers. The path or the query may ask for another kind of answer.
pub(crate) fn numbered(paywall: &Paywall, charge: impl Into<Charge>, runs: &Runs) -> Router {
    let runs = runs.clone();
    let handler = move |request: Request| async move {
        let number = runs.0.fetch_add(1, Ordering::SeqCst) + 1;
        let text = format!("answer {number}");
        let mut response = match request.uri().path() {
            "/missing" => (StatusCode::NOT_FOUND, text).into_response(),
            "/broken" => (StatusCode::BAD_GATEWAY, text).into_response(),
            "/elsewhere" => (StatusCode::SEE_OTHER, [("location", "/b")], text).into_response(),
            "/empty" => StatusCode::NO_CONTENT.into_response(),
            "/cookie" => ([("set-cookie", "a=b")], text).into_response(),
            "/secret" => ([("cache-control", "no-store")], text).into_response(),
            "/unit" => ([("vary", "x-unit")], text).into_response(),
            _ => text.into_response(),
        };
        let headers = response.headers_mut();
        headers.append("x-number", number.into());
        headers.append("x-number", (number + 1).into());
        response
    };
    let app = Router::new().fallback(handler);
    app.layer(paywall.charge(charge).unwrap())
}

#[track_caller]
pub(crate) fn same(first: &Response<Bytes>, again: &Response<Bytes>, what: &str) {
    assert_eq!(again.status(), first.status(), "{what}: {again:?}");
    assert_eq!(again.headers(), first.headers(), "{what}");
    assert_eq!(again.body(), first.body(), "{what}");
}

#[tokio::test]
async fn a_spent_credential_gets_the_answer_again_that_it_bought_in_every_dialect() {
    let shop = Shop::new();
    let by_body = Charge::new(price_fn(|_| async { Ok(Some(Amount::from_sat(3))) })).reads_body();
    let stops = Charge::new(Amount::from_sat(9)).bind_headers(["x-a"]);
    for charge in [
        keeps(&shop),
        by_body.keep_answers(kept(&shop)),
        stops.keep_answers(kept(&shop)),
    ] {
        for call in [
            Call::get("/a?b=c"),
            Call::get("/missing"),
            Call::get("/elsewhere"),
            Call::get("/empty"),
            Call::new("HEAD", "/a"),
            Call::post("/a", b"abc").header("content-type", "text/plain"),
            Call::new("DELETE", "/a").header("x-a", "1"),
        ] {
            for dialect in ALL {
                let (runs, what) = (Runs::default(), format!("{dialect} {call:?}"));
                let app = numbered(&shop.paywall_of_every_dialect(), charge.clone(), &runs);
                let credential = call.buy(&shop, &app, dialect).await;
                let made = shop.node.invoices_created();
                let first = ask(&app, call.paid(&credential)).await;
                assert!(!asks_for_money(&first), "{what}: {first:?}");
                for _ in 0..3 {
                    same(&first, &ask(&app, call.paid(&credential)).await, &what);
                }
                assert_eq!(
                    (runs.count(), shop.node.invoices_created()),
                    (1, made),
                    "{what}"
                );
                let has_receipt = ["payment-receipt", "payment-response"]
                    .iter()
                    .any(|name| first.headers().contains_key(*name));
                let is_owed = match dialect {
                    DialectName::X402 => true,
                    DialectName::Mpp => first.status().is_success(),
                    _ => false,
                };
                assert_eq!(has_receipt, is_owed, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_kept_unless_the_charge_says_so() {
    for dialect in ALL {
        let (shop, runs) = (Shop::new(), Runs::default());
        let app = numbered(
            &shop.paywall_of_every_dialect(),
            Amount::from_sat(10),
            &runs,
        );
        let call = Call::get("/a");
        let credential = call.buy(&shop, &app, dialect).await;
        assert_eq!(
            ask(&app, call.paid(&credential)).await.status(),
            StatusCode::OK
        );
        assert!(is_spent(&ask(&app, call.paid(&credential)).await, dialect));
        assert_eq!(runs.count(), 1);
    }
}

#[tokio::test]
async fn no_other_request_gets_a_kept_answer() {
    for dialect in ALL {
        let (shop, runs) = (Shop::new(), Runs::default());
        let charge = keeps(&shop).bind_headers(["x-a"]);
        let app = numbered(&shop.paywall_of_every_dialect(), charge, &runs);
        let call = Call::post("/a?b=c", b"abc").header("x-a", "1");
        let credential = call.buy(&shop, &app, dialect).await;
        let first = ask(&app, call.paid(&credential)).await;
        for other in [
            Call::new("PUT", "/a?b=c").body("abc").header("x-a", "1"),
            Call::post("/b?b=c", b"abc").header("x-a", "1"),
            Call::post("/a?b=d", b"abc").header("x-a", "1"),
            Call::post("/a?b=c&b=c", b"abc").header("x-a", "1"),
            Call::post("/a?b=c", b"abd").header("x-a", "1"),
            Call::post("/a?b=c", b"").header("x-a", "1"),
            Call::post("/a?b=c", b"abc").header("x-a", "2"),
            Call::post("/a?b=c", b"abc"),
            call.clone().header("range", "bytes=0-1"),
            call.clone().header("accept", "text/html"),
            call.clone().header("content-type", "application/json"),
            call.clone().header("if-none-match", "\"a\""),
        ] {
            let answer = ask(&app, other.paid(&credential)).await;
            assert_eq!(
                answer.status(),
                StatusCode::PAYMENT_REQUIRED,
                "{dialect} {other:?}"
            );
        }
        same(
            &first,
            &ask(&app, call.paid(&credential)).await,
            dialect.as_str(),
        );
        assert_eq!(runs.count(), 1);
    }
}

#[tokio::test]
async fn no_other_credential_gets_a_kept_answer() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let app = numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs);
    let call = Call::get("/a");
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    let first = ask(&app, call.paid(bought.of(DialectName::L402))).await;
    for dialect in [DialectName::Mpp, DialectName::X402] {
        // Of the same payment.
        assert!(is_spent(
            &ask(&app, call.paid(bought.of(dialect))).await,
            dialect
        ));
    }
    // The same token, narrowed.
    let (name, line) = bought.of(DialectName::L402);
    let headers = HeaderMap::from_iter([(name.clone(), line.clone())]);
    let whole = Credential::in_headers(&headers).next().unwrap().unwrap();
    let token = whole.macaroon().attenuate("note=new").unwrap();
    let narrowed = Credential::new(token, whole.preimage().clone()).header_value(Scheme::L402);
    let narrowed: HeaderLine = (name.clone(), narrowed);
    assert!(is_spent(
        &ask(&app, call.paid(&narrowed)).await,
        DialectName::L402
    ));
    // Another payment for the same request gets an answer of its own.
    let other = call.buy(&shop, &app, DialectName::L402).await;
    let second = ask(&app, call.paid(&other)).await;
    assert_eq!((second.body(), runs.count()), (&Bytes::from("answer 2"), 2));
    same(&second, &ask(&app, call.paid(&other)).await, "the second");
    same(
        &first,
        &ask(&app, call.paid(bought.of(DialectName::L402))).await,
        "the first",
    );
}

#[tokio::test]
async fn a_request_with_a_cookie_or_authorization_of_its_own_is_neither_kept_nor_answered() {
    for dialect in ALL {
        for (name, value) in [("cookie", "session=1"), ("authorization", "Bearer abc")] {
            let taken = name == "authorization";
            if taken && dialect == DialectName::L402 {
                continue; // its clients need the field
            }
            let (shop, runs) = (Shop::new(), Runs::default());
            let charge = match taken {
                true => keeps(&shop).authorization_taken(),
                false => keeps(&shop),
            };
            let app = numbered(&shop.paywall_of_every_dialect(), charge, &runs);
            let (plain, personal) = (Call::get("/a"), Call::get("/a").header(name, value));
            let what = format!("{dialect} {name}");
            // Not kept.
            let credential = personal.buy(&shop, &app, dialect).await;
            let first = ask(&app, personal.paid(&credential)).await;
            assert_eq!(first.status(), StatusCode::OK, "{what}");
            for call in [&personal, &plain] {
                assert!(
                    is_spent(&ask(&app, call.paid(&credential)).await, dialect),
                    "{what}"
                );
            }
            // Not answered.
            let credential = plain.buy(&shop, &app, dialect).await;
            let first = ask(&app, plain.paid(&credential)).await;
            assert!(
                is_spent(&ask(&app, personal.paid(&credential)).await, dialect),
                "{what}"
            );
            same(&first, &ask(&app, plain.paid(&credential)).await, &what);
            assert_eq!(runs.count(), 2, "{what}");
        }
    }
}

#[tokio::test]
async fn a_bound_cookie_is_a_part_of_the_request() {
    for dialect in ALL {
        let (shop, runs) = (Shop::new(), Runs::default());
        let charge = keeps(&shop).bind_headers(["cookie"]);
        let app = numbered(&shop.paywall_of_every_dialect(), charge, &runs);
        let call = Call::get("/a").header("cookie", "session=1");
        let credential = call.buy(&shop, &app, dialect).await;
        let first = ask(&app, call.paid(&credential)).await;
        same(
            &first,
            &ask(&app, call.paid(&credential)).await,
            dialect.as_str(),
        );
        for other in [
            Call::get("/a"),
            Call::get("/a").header("cookie", "session=2"),
        ] {
            let answer = ask(&app, other.paid(&credential)).await;
            assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
        }
    }
}

#[tokio::test]
async fn a_failure_is_not_kept_and_is_given_back_as_without_the_opt_in() {
    for dialect in ALL {
        let (shop, runs) = (Shop::new(), Runs::default());
        let app = numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs);
        let call = Call::get("/broken");
        let credential = call.buy(&shop, &app, dialect).await;
        let tries = if dialect == DialectName::L402 { 3 } else { 1 };
        for number in 1..=tries {
            let answer = ask(&app, call.paid(&credential)).await;
            assert_eq!(answer.status(), StatusCode::BAD_GATEWAY, "{dialect}");
            assert_eq!(answer.body(), &format!("answer {number}"));
        }
        assert!(is_spent(&ask(&app, call.paid(&credential)).await, dialect));
    }
}

#[tokio::test]
async fn what_the_handler_says_about_caches_stays_and_a_cookie_is_set_once() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let app = numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs);
    for dialect in ALL {
        let call = Call::get("/secret");
        let credential = call.buy(&shop, &app, dialect).await;
        let first = ask(&app, call.paid(&credential)).await;
        assert_eq!(first.headers()[header::CACHE_CONTROL], "no-store");
        same(
            &first,
            &ask(&app, call.paid(&credential)).await,
            dialect.as_str(),
        );
        let call = Call::get("/a");
        let credential = call.buy(&shop, &app, dialect).await;
        let first = ask(&app, call.paid(&credential)).await;
        assert_eq!(first.headers()[header::CACHE_CONTROL], "private");
        same(
            &first,
            &ask(&app, call.paid(&credential)).await,
            dialect.as_str(),
        );
        let call = Call::get("/cookie");
        let credential = call.buy(&shop, &app, dialect).await;
        let first = ask(&app, call.paid(&credential)).await;
        assert!(first.headers().contains_key(header::SET_COOKIE));
        assert!(is_spent(&ask(&app, call.paid(&credential)).await, dialect));
    }
}

#[tokio::test]
async fn an_answer_that_varies_is_for_the_values_that_it_was_made_for() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let app = numbered(&shop.paywall(), keeps(&shop), &runs);
    let call = Call::get("/unit").header("x-unit", "c");
    let credential = call.buy(&shop, &app, DialectName::L402).await;
    let first = ask(&app, call.paid(&credential)).await;
    for other in [Call::get("/unit"), Call::get("/unit").header("x-unit", "f")] {
        assert!(is_spent(
            &ask(&app, other.paid(&credential)).await,
            DialectName::L402
        ));
    }
    // What machines on the way add makes no other request.
    let repeated = call.header("x-request-id", "7").header("via", "1.1 proxy");
    same(
        &first,
        &ask(&app, repeated.paid(&credential)).await,
        "repeated",
    );
}

#[tokio::test]
async fn a_credential_that_has_expired_still_gets_its_answer_while_that_is_kept() {
    for dialect in ALL {
        let (shop, runs) = (Shop::new(), Runs::default());
        let redeem = |builder: PaywallBuilder| {
            builder
                .redeem_within(Duration::from_secs(60))
                .build()
                .unwrap()
        };
        let app = numbered(
            &redeem(shop.builder_of_every_dialect()),
            keeps(&shop),
            &runs,
        );
        let call = Call::post("/a", b"abc");
        let (credential, unused): (HeaderLine, HeaderLine) = (
            call.buy(&shop, &app, dialect).await,
            call.buy(&shop, &app, dialect).await,
        );
        shop.clock.advance(Duration::from_secs(299));
        let first = ask(&app, call.paid(&credential)).await;
        assert_eq!(first.status(), StatusCode::OK);
        shop.clock.advance(Duration::from_secs(600));
        same(
            &first,
            &ask(&app, call.paid(&credential)).await,
            dialect.as_str(),
        );
        let other = ask(&app, Call::post("/a", b"abd").paid(&credential)).await;
        assert_eq!(other.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
        let answer = ask(&app, call.paid(&unused)).await;
        assert_eq!(
            answer.status(),
            StatusCode::PAYMENT_REQUIRED,
            "an expired one buys nothing"
        );
        shop.clock.advance(Duration::from_secs(1));
        let answer = ask(&app, call.paid(&credential)).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
        assert_eq!(runs.count(), 1, "{dialect}");
    }
}
