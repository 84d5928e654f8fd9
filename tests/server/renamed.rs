//! Routes that got another pattern, in tables, in nests and without either.

use std::num::NonZeroU32;

use axum::{Router, routing::any};
use http::{HeaderValue, StatusCode};
use tower::Layer as _;
use tower_x402::{Amount, Charge, RouteTable, price_fn};

use crate::{
    customer::{ALL, Call},
    shop::{Shop, ask, get, paid, reason},
};

fn uses() -> Charge {
    Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(9).unwrap())
}

/// A service whose table has one rule for `GET`.
fn tabled(shop: &Shop, pattern: &str, charge: Charge) -> Router {
    let table = RouteTable::new()
        .charge(format!("GET {pattern}"), charge)
        .otherwise_refuse();
    let layer = shop.paywall().routes(table).unwrap();
    Router::new().fallback(any(async || "made")).layer(layer)
}

async fn opens(app: &Router, target: &str, credential: &HeaderValue) -> bool {
    let answer = ask(app, paid(target, credential)).await;
    if answer.status() == StatusCode::OK {
        return true;
    }
    assert_eq!(reason(&answer), "wrong_route", "{target}");
    false
}

#[tokio::test]
async fn capture_names_never_matter_and_former_patterns_are_named() {
    for (before, now, former, is_served) in [
        ("/w/{id}", "/w/{user_id}", None, true),
        ("/w/{*path}", "/w/{*rest}", None, true),
        ("/w/{a}/x/{b}", "/w/{b}/x/{a}", None, true),
        ("/w/{id}", "/w/{*rest}", None, false),
        ("/w/{id}", "/w/{*rest}", Some("/w/{old}"), true),
        ("/w/{id}", "/weather/{id}", Some("/w/{id}"), true),
        ("/w/{id}", "/weather/{id}", Some("/x/{id}"), false),
    ] {
        let shop = Shop::new();
        let credential = shop
            .buy(&tabled(&shop, before, uses()), get(&target(before)))
            .await;
        let charge = former
            .iter()
            .fold(uses(), |charge, former| charge.former_pattern(*former));
        let app = tabled(&shop, now, charge);
        let is_open = opens(&app, &target(now), &credential).await;
        assert_eq!(is_open, is_served, "{before} {now} {former:?}");
    }
}

fn target(pattern: &str) -> String {
    pattern.replace(['{', '}', '*'], "")
}

#[tokio::test]
async fn a_former_pattern_stands_behind_the_prefix_of_a_nest_or_for_the_whole() {
    let shop = Shop::new();
    let nest = |prefix: &str, pattern: &str, charge| {
        Router::new().nest(prefix, tabled(&shop, pattern, charge))
    };
    let whole = shop
        .buy(&tabled(&shop, "/w/{id}", uses()), get("/w/1"))
        .await;
    let nested = shop
        .buy(&nest("/v1", "/w/{id}", uses()), get("/v1/w/1"))
        .await;
    let moved = nest("/v1", "/weather/{id}", uses().former_pattern("/w/{id}"));
    assert!(opens(&moved, "/v1/weather/1", &whole).await);
    assert!(opens(&moved, "/v1/weather/1", &nested).await);
    let other = nest("/v2", "/weather/{id}", uses().former_pattern("/w/{id}"));
    assert!(opens(&other, "/v2/weather/1", &whole).await);
    assert!(!opens(&other, "/v2/weather/1", &nested).await);
}

#[tokio::test]
async fn a_path_with_braces_in_it_buys_no_pattern() {
    let shop = Shop::new();
    let layer = shop.paywall().charge(uses()).unwrap();
    let inner = layer.layer(Router::new().fallback(any(async || "made")));
    let bare = Router::new().fallback_service(inner);
    let credential = shop.buy(&bare, get("/dear/{}")).await;
    assert!(opens(&bare, "/dear/{}", &credential).await);
    let app = tabled(&shop, "/dear/{id}", uses());
    assert!(!opens(&app, "/dear/{}", &credential).await);
    assert!(!opens(&app, "/dear/1", &credential).await);
}

#[test]
fn what_cannot_be_meant_is_a_mistake_that_names_the_fix() {
    let shop = Shop::new();
    let says = |charge: Charge, what: &str| {
        let error = shop.paywall().charge(charge).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    says(uses().former_pattern("w/{id}"), "write it like");
    says(uses().former_pattern("/w/{id"), "write it like");
    says(uses().earlier(uses().earlier(uses())), "on today's charge");
    says(
        uses().earlier(Charge::new(Amount::ZERO)),
        "an earlier charge cannot have been sold",
    );

    // What one rule sells must not open another.
    let table = |former| {
        RouteTable::new()
            .charge("GET /w/{id}", uses())
            .charge("GET /dear/{id}", uses().former_pattern(former))
            .otherwise_refuse()
    };
    let error = shop.paywall().routes(table("/w/{city}")).unwrap_err();
    assert!(
        error.to_string().contains("leave .former_pattern(..) out"),
        "{error}"
    );
    assert!(shop.paywall().routes(table("/old/{city}")).is_ok());
}

#[tokio::test]
async fn what_is_free_now_is_not_taken_from_what_was_bought() {
    for dialect in ALL {
        let shop = Shop::new();
        let route = |charge: Charge| {
            let layer = shop.builder().dialects(ALL).build().unwrap().charge(charge);
            Router::new().route("/a", any(async || "made").layer(layer.unwrap()))
        };
        let errand = Call::get("/a");
        let fixed = || Charge::new(Amount::from_sat(10));
        let bound = || fixed().bind_headers(["x-a"]);
        let credential = errand.buy(&shop, &route(bound()), dialect).await;
        let free = price_fn(|_| async { Ok(None) });
        let app = route(Charge::new(free).earlier(bound()));
        for _ in 0..2 {
            let answer = ask(&app, errand.paid(&credential)).await;
            assert_eq!(answer.status(), StatusCode::OK, "{dialect}");
        }
        // Nothing was taken of it.
        let answer = ask(&route(bound()), errand.paid(&credential)).await;
        assert_eq!(answer.status(), StatusCode::OK, "{dialect}");
        let answer = ask(&route(bound()), errand.paid(&credential)).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
    }
}
