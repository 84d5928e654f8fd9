//! A payment for one request is refused for any other. Each bound part is changed alone.

use axum::{Router, routing::any};
use http::{StatusCode, header};
use tower_x402::{
    Amount, DialectName,
    server::{Charge, PriceRequest, price_fn},
    x402,
};

use crate::{
    customer::{ALL, Call},
    shop::{Shop, ask, reason},
};

fn service(shop: &Shop) -> Router {
    let charge = Charge::new(Amount::from_sat(10)).bind_headers(["Accept", "x-account"]);
    let layer = shop.paywall_of_every_dialect().charge(charge).unwrap();
    Router::new().route("/{*path}", any(async || "sunny").layer(layer))
}

fn bought_for() -> Call {
    Call::new("POST", "/weather?city=oslo&day=1")
        .header(header::ACCEPT, "text/plain")
        .body("body")
}

/// The request that was bought for, with one thing changed, and what L402, MPP and x402 say of it.
/// L402 alone does not bind the body.
fn changed() -> Vec<(&'static str, Call, [&'static str; 3])> {
    const MPP: &str = "invalid-challenge";
    const X402: &str = "invalid_exact_lnbtc_request_mismatch";
    let changed = |what, change: fn(&mut Call), l402| {
        let mut call = bought_for();
        change(&mut call);
        (what, call, [l402, MPP, X402])
    };
    let target = |what, target: &str| {
        let mut call = bought_for();
        call.target = target.into();
        (what, call, ["wrong_target", MPP, X402])
    };
    vec![
        changed("the method", |call| call.method = "PUT", "wrong_method"),
        changed("GET", |call| call.method = "GET", "wrong_method"),
        target("the path", "/wether?city=oslo&day=1"),
        target("an escape", "/%77eather?city=oslo&day=1"),
        target("a slash", "/weather/?city=oslo&day=1"),
        target("the query's order", "/weather?day=1&city=oslo"),
        target("a value", "/weather?city=oslo&day=2"),
        target("one parameter more", "/weather?city=oslo&day=1&day=2"),
        target("no query", "/weather"),
        changed("a byte of the body", |call| call.body = "bodz".into(), ""),
        changed("no body", |call| call.body = "".into(), ""),
        changed(
            "a bound header",
            |call| drop(call.headers.insert("accept", "text/html".parse().unwrap())),
            "wrong_bound",
        ),
        changed(
            "a bound header, gone",
            |call| drop(call.headers.remove("accept")),
            "wrong_bound",
        ),
        changed(
            "a bound header, there",
            |call| drop(call.headers.insert("x-account", "7".parse().unwrap())),
            "wrong_bound",
        ),
        changed(
            "a bound header, twice",
            |call| assert!(call.headers.append("accept", "*/*".parse().unwrap())),
            "wrong_bound",
        ),
        changed(
            "an empty bound header",
            |call| drop(call.headers.insert("x-account", "".parse().unwrap())),
            "wrong_bound",
        ),
    ]
}

#[tokio::test]
async fn each_thing_that_is_bound_is_refused_when_it_changes_and_the_request_itself_still_passes() {
    for (index, dialect) in ALL.into_iter().enumerate() {
        let shop = Shop::new();
        let app = service(&shop);
        let call = bought_for();
        let bought = shop.bought(&call, &ask(&app, call.request()).await);
        for (what, other, words) in changed() {
            let word = words[index];
            if word.is_empty() {
                continue;
            }
            let refused = ask(&app, other.with(bought.of(dialect)).request()).await;
            assert_eq!(reason(&refused), word, "{dialect}: {what}");
            if dialect == DialectName::X402 {
                let response = x402::Receipt::in_headers(refused.headers()).unwrap();
                assert_eq!(
                    (response.is_success(), response.error_reason()),
                    (false, Some(word)),
                    "{what}"
                );
            }
        }
        // The answer to HEAD has no body to tell why.
        let mut head = bought_for().with(bought.of(dialect));
        head.method = "HEAD";
        assert_eq!(
            ask(&app, head.request()).await.status(),
            StatusCode::PAYMENT_REQUIRED
        );
        let mut unchanged = call.with(bought.of(dialect));
        unchanged
            .headers
            .insert("x-not-bound", "1".parse().unwrap());
        assert_eq!(
            ask(&app, unchanged.request()).await.status(),
            StatusCode::OK,
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn a_challenge_that_was_made_first_or_meanwhile_is_honoured_once_each() {
    let shop = Shop::new();
    let app = service(&shop);
    let call = bought_for();
    for dialect in ALL {
        let (first, second) = (
            ask(&app, call.request()).await,
            ask(&app, call.request()).await,
        );
        for answer in [&second, &first] {
            let bought = shop.bought(&call, answer);
            assert_eq!(
                ask(&app, call.with(bought.of(dialect)).request())
                    .await
                    .status(),
                StatusCode::OK,
                "{dialect}"
            );
            assert_eq!(
                ask(&app, call.with(bought.of(dialect)).request())
                    .await
                    .status(),
                StatusCode::PAYMENT_REQUIRED
            );
        }
    }
}

#[tokio::test]
async fn what_a_price_function_saw_is_bound_in_every_dialect_and_what_it_quoted_is_honoured() {
    let shop = Shop::new();
    let dearer = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let today = dearer.clone();
    let price = price_fn(move |request: PriceRequest| {
        let more = today.load(std::sync::atomic::Ordering::SeqCst);
        async move {
            Ok(Some(Amount::from_sat(
                more + request.header("x-frames").unwrap_or("1").parse::<u32>()?,
            )))
        }
    });
    let layer = shop
        .paywall_of_every_dialect()
        .charge(Charge::new(price).reads_headers(["x-frames"]))
        .unwrap();
    let app = Router::new().route("/render", any(async || "rendered").layer(layer));
    let cheap = Call::new("POST", "/render").header("x-frames", "2");
    for (dialect, word) in ALL.into_iter().zip([
        "wrong_bound",
        "invalid-challenge",
        "invalid_exact_lnbtc_request_mismatch",
    ]) {
        let answer = ask(&app, cheap.request()).await;
        let bought = shop.bought(&cheap, &answer);
        dearer.fetch_add(5, std::sync::atomic::Ordering::SeqCst);
        let dear = Call::new("POST", "/render")
            .header("x-frames", "1000")
            .with(bought.of(dialect));
        assert_eq!(
            reason(&ask(&app, dear.request()).await),
            word,
            "{dialect}: a cheap quote opened a dear request"
        );
        let none = Call::new("POST", "/render").with(bought.of(dialect));
        assert_eq!(reason(&ask(&app, none.request()).await), word, "{dialect}");
        let served = ask(&app, cheap.with(bought.of(dialect)).request()).await;
        assert_eq!(
            served.status(),
            StatusCode::OK,
            "{dialect}: a price that moved refuses what was paid"
        );
    }
}
