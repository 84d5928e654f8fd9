//! Which answers are kept, and how many.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request, response::Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tower::ServiceExt as _;
use tower_x402::{Amount, Charge, DialectName, server::KeptAnswers};

use crate::{
    customer::{ALL, Call},
    in_use::is_spent,
    kept::{Runs, keeps, kept, numbered, same},
    kept_slow::SlowRecords,
    shop::{Shop, ask, problem, reason},
};

type Part = Result<Frame<Bytes>, std::io::Error>;

/// A service whose answer has these parts, and then goes on for ever if its path says so.
fn streams(shop: &Shop, charge: Charge, parts: fn() -> Vec<Part>) -> Router {
    let handler = move |request: Request| async move {
        let parts = stream::iter(parts());
        let body = match request.uri().path() {
            "/endless" => Body::new(StreamBody::new(parts.chain(stream::pending()))),
            _ => Body::new(StreamBody::new(parts)),
        };
        let mut response = Response::new(body);
        if request.uri().path() == "/endless" {
            let kind = HeaderValue::from_static("text/event-stream");
            response.headers_mut().insert("content-type", kind);
        }
        response
    };
    let layer = shop.paywall_of_every_dialect().charge(charge).unwrap();
    Router::new().fallback(handler).layer(layer)
}

fn data(text: &'static [u8]) -> Part {
    Ok(Frame::data(Bytes::from_static(text)))
}

#[tokio::test]
async fn an_answer_in_pieces_is_kept_whole() {
    for dialect in ALL {
        let shop = Shop::new();
        let app = streams(&shop, keeps(&shop), || {
            vec![data(b"one "), data(b""), data(b"two")]
        });
        let call = Call::get("/a");
        let credential = call.buy(&shop, &app, dialect).await;
        let first = ask(&app, call.paid(&credential)).await;
        assert_eq!(first.body(), "one two");
        same(
            &first,
            &ask(&app, call.paid(&credential)).await,
            dialect.as_str(),
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_sent_whole_and_not_kept() {
    for dialect in ALL {
        let shop = Shop::new();
        let charge = Charge::new(Amount::from_sat(10));
        let app = |bytes| {
            let kept = kept(&shop).bytes_per_answer(bytes);
            let parts = || vec![data(b"12345"), data(b"6789"), data(b"0")];
            streams(&shop, charge.clone().keep_answers(kept), parts)
        };
        let call = Call::get("/a");
        for (bytes, is_kept) in [(1, false), (9, false), (10, true)] {
            let app = app(bytes);
            let credential = call.buy(&shop, &app, dialect).await;
            let first = ask(&app, call.paid(&credential)).await;
            assert_eq!(first.body(), "1234567890", "{dialect} {bytes}");
            let again = ask(&app, call.paid(&credential)).await;
            assert_eq!(
                again.status() == StatusCode::OK,
                is_kept,
                "{dialect} {bytes}"
            );
        }
    }
}

#[tokio::test]
async fn trailers_are_sent_and_the_answer_is_not_kept() {
    let shop = Shop::new();
    let app = streams(&shop, keeps(&shop), || {
        let trailers = [("x-end".parse().unwrap(), HeaderValue::from_static("1"))];
        vec![
            data(b"abc"),
            Ok(Frame::trailers(HeaderMap::from_iter(trailers))),
        ]
    });
    let call = Call::get("/a");
    for dialect in ALL {
        let credential = call.buy(&shop, &app, dialect).await;
        let first = app.clone().oneshot(call.paid(&credential)).await.unwrap();
        let body = first.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["x-end"], "1");
        assert_eq!(body.to_bytes(), "abc");
        assert!(is_spent(&ask(&app, call.paid(&credential)).await, dialect));
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_failure_and_not_kept() {
    for dialect in ALL {
        let shop = Shop::new();
        let parts = || vec![data(b"abc"), Err(std::io::Error::other("it broke"))];
        let app = streams(&shop, keeps(&shop), parts);
        let call = Call::get("/a");
        let credential = call.buy(&shop, &app, dialect).await;
        let tries = if dialect == DialectName::L402 { 3 } else { 1 };
        for _ in 0..tries {
            let answer = ask(&app, call.paid(&credential)).await;
            assert_eq!(
                answer.status(),
                StatusCode::SERVICE_UNAVAILABLE,
                "{dialect}"
            );
            assert_eq!(
                answer.headers().contains_key("payment-response"),
                dialect == DialectName::X402
            );
        }
        assert!(is_spent(&ask(&app, call.paid(&credential)).await, dialect));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_sent_as_it_comes_and_not_kept() {
    let shop = Shop::new();
    let app = streams(&shop, keeps(&shop), || vec![data(b"event")]);
    for dialect in ALL {
        let call = Call::get("/endless");
        let credential = call.buy(&shop, &app, dialect).await;
        let begun = tokio::time::Instant::now();
        let mut answer = app.clone().oneshot(call.paid(&credential)).await.unwrap();
        let frame = answer.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(
            (frame.into_data().unwrap(), begun.elapsed()),
            (Bytes::from("event"), Duration::ZERO)
        );
        assert!(is_spent(&ask(&app, call.paid(&credential)).await, dialect));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_too_slowly_goes_on_after_the_time_limit_and_is_not_kept() {
    let shop = Shop::new();
    let handler = || async {
        let parts = stream::iter(vec![data(b"abc")]).chain(stream::once(async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            data(b"def")
        }));
        Body::new(StreamBody::new(parts))
    };
    let layer = shop
        .paywall_of_every_dialect()
        .charge(keeps(&shop))
        .unwrap();
    let app = Router::new().fallback(handler).layer(layer);
    let call = Call::get("/a");
    let credential = call.buy(&shop, &app, DialectName::Mpp).await;
    let begun = tokio::time::Instant::now();
    let answer = app.clone().oneshot(call.paid(&credential)).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "abcdef"
    );
    assert!(is_spent(
        &ask(&app, call.paid(&credential)).await,
        DialectName::Mpp
    ));
}

#[tokio::test]
async fn answers_are_kept_as_long_and_as_many_as_the_charge_says() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let few = kept(&shop)
        .bytes_per_answer(500)
        .bytes_in_all(2_048)
        .time(Duration::from_secs(5));
    let charge = Charge::new(Amount::from_sat(10)).keep_answers(few);
    let app = numbered(&shop.paywall(), charge, &runs);
    let call = Call::get("/a");
    let mut bought = Vec::new();
    for _ in 0..4 {
        bought.push(call.buy(&shop, &app, DialectName::L402).await);
    }
    let mut statuses = Vec::new();
    for credential in &bought[..3] {
        assert_eq!(
            ask(&app, call.paid(credential)).await.status(),
            StatusCode::OK
        );
        statuses.push(ask(&app, call.paid(credential)).await.status());
    }
    let full = StatusCode::PAYMENT_REQUIRED;
    assert_eq!(
        statuses,
        [StatusCode::OK, StatusCode::OK, full],
        "there is room for two"
    );
    shop.clock.advance(Duration::from_secs(5));
    assert_eq!(
        ask(&app, call.paid(&bought[1])).await.status(),
        StatusCode::OK
    );
    shop.clock.advance(Duration::from_secs(1));
    assert_eq!(reason(&ask(&app, call.paid(&bought[1])).await), "spent");
    let first = ask(&app, call.paid(&bought[3])).await;
    same(
        &first,
        &ask(&app, call.paid(&bought[3])).await,
        "there is room again",
    );
}

#[tokio::test]
async fn one_payment_is_not_read_by_everybody() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let app = numbered(&shop.paywall(), keeps(&shop), &runs);
    let call = Call::get("/a");
    let credential = call.buy(&shop, &app, DialectName::L402).await;
    for _ in 0..17 {
        let answer = ask(&app, call.paid(&credential)).await;
        assert_eq!(answer.body(), "answer 1");
    }
    assert_eq!(reason(&ask(&app, call.paid(&credential)).await), "spent");
}

#[test]
fn what_cannot_be_kept_is_a_configuration_error() {
    let shop = Shop::new();
    let charge = || Charge::new(Amount::from_sat(10));
    let of = |kept: KeptAnswers| charge().keep_answers(kept);
    let kept = || kept(&shop);
    for (charge, fix) in [
        (keeps(&shop).uses(NonZeroU32::MIN), "sell .once()"),
        (
            keeps(&shop).for_duration(Duration::from_secs(60)),
            "sell .once()",
        ),
        (
            keeps(&shop).stream_body(),
            "leave out .keep_answers(..) or .stream_body()",
        ),
        (of(kept().time(Duration::ZERO)), "change .time(..)"),
        (
            of(kept().time(Duration::from_millis(1_500))),
            "change .time(..)",
        ),
        (
            of(kept().time(Duration::from_secs(3_601))),
            "change .time(..)",
        ),
        (
            of(kept().bytes_per_answer(0)),
            "change .bytes_per_answer(..)",
        ),
        (
            of(kept().bytes_per_answer((4 << 20) + 1)),
            "change .bytes_per_answer(..)",
        ),
        (
            of(kept()
                .bytes_in_all(1 << 20)
                .bytes_per_answer((256 << 10) + 1)),
            "raise .bytes_in_all(..)",
        ),
    ] {
        let error = shop.paywall().charge(charge).unwrap_err().to_string();
        assert!(error.contains(fix), "{error}");
    }
    let most = kept()
        .bytes_per_answer(4 << 20)
        .time(Duration::from_secs(3_600));
    assert!(shop.paywall().charge(of(most.clone())).is_ok());
}

#[tokio::test]
async fn records_that_fail_cost_nobody_an_answer_and_ask_nobody_to_pay_again() {
    for dialect in ALL {
        let (shop, runs) = (Shop::new(), Runs::default());
        let records = Arc::new(SlowRecords::new(shop.store.clone()));
        let kept = KeptAnswers::new(records.clone());
        let charge = Charge::new(Amount::from_sat(10)).keep_answers(kept);
        let app = numbered(&shop.paywall_of_every_dialect(), charge, &runs);
        let call = Call::get("/a");
        let (one, two) = (
            call.buy(&shop, &app, dialect).await,
            call.buy(&shop, &app, dialect).await,
        );
        let first = ask(&app, call.paid(&one)).await;
        records.fails(true);
        assert_eq!(
            ask(&app, call.paid(&two)).await.status(),
            StatusCode::OK,
            "it is served"
        );
        let made = shop.node.invoices_created();
        let answer = ask(&app, call.paid(&one)).await;
        assert_eq!(
            answer.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "{dialect}"
        );
        assert_eq!(problem(&answer)["title"], "Service unavailable");
        assert_eq!(shop.node.invoices_created(), made);
        records.fails(false);
        same(&first, &ask(&app, call.paid(&one)).await, dialect.as_str());
        assert!(
            is_spent(&ask(&app, call.paid(&two)).await, dialect),
            "it was not kept"
        );
    }
}
