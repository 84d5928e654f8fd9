//! Routes that got another pattern, in tables, in nests and without either.

use std::{num::NonZeroU32, time::Duration};

use axum::{Router, routing::any};
use http::{HeaderValue, StatusCode};
use tower::Layer as _;
use tower_x402::{Amount, Charge, RouteTable, clock::Timestamp, price_fn};

use crate::{
    customer::{ALL, Call},
    journal::Journal,
    shop::{NOW, Shop, ask, get, paid, reason},
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
async fn a_former_pattern_stands_behind_the_prefix_of_a_nest_and_a_former_route_alone() {
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
    assert!(!opens(&moved, "/v1/weather/1", &whole).await);
    assert!(opens(&moved, "/v1/weather/1", &nested).await);
    let other = nest("/v2", "/weather/{id}", uses().former_pattern("/w/{id}"));
    assert!(!opens(&other, "/v2/weather/1", &whole).await);
    assert!(!opens(&other, "/v2/weather/1", &nested).await);
    for (route, was_whole) in [("/w/{id}", true), ("/v1/w/{id}", false)] {
        let app = nest("/v2", "/weather/{id}", uses().former_route(route));
        assert_eq!(opens(&app, "/v2/weather/1", &whole).await, was_whole);
        assert_eq!(opens(&app, "/v2/weather/1", &nested).await, !was_whole);
    }
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
    let now = Timestamp::from_unix_seconds(NOW);
    let later = Timestamp::from_unix_seconds(NOW + 1);
    says(uses().sold_since(later), "lies in the future");
    let _ = shop.paywall().charge(uses().sold_since(now)).unwrap();
    says(uses().earlier(uses().earlier(uses())), "on today's charge");
    says(
        uses().earlier(Charge::new(Amount::ZERO)),
        "an earlier charge cannot have been sold",
    );
}

/// A table of two rules, the second of which once had another pattern.
fn two(shop: &Shop, first: (&str, Charge), second: (&str, Charge)) -> Result<Router, String> {
    let table = RouteTable::new()
        .charge(first.0, first.1)
        .charge(second.0, second.1)
        .otherwise_refuse();
    let layer = shop.paywall().routes(table);
    let layer = layer.map_err(|error| error.to_string())?;
    Ok(Router::new().fallback(any(async || "made")).layer(layer))
}

#[tokio::test]
async fn what_a_cheap_rule_sells_opens_no_dear_one_by_a_former_name() {
    let shop = Shop::new();
    let dear = || Charge::new(Amount::from_sat(1_000)).uses(NonZeroU32::new(9).unwrap());
    for (cheap_rule, dear_rule, former) in [
        ("GET /w/{id}", "GET /dear/{id}", "/w/{city}"),
        ("GET /w/{id}", "HEAD /dear/{id}", "/w/{city}"),
        ("HEAD /w/{*id}", "GET /dear/{*id}", "/w/{*rest}"),
    ] {
        let error = two(
            &shop,
            (cheap_rule, uses()),
            (dear_rule, dear().former_pattern(former)),
        )
        .unwrap_err();
        assert!(error.contains("leave .former_pattern(..) out"), "{error}");
    }
    let rules = ("GET /w/{id}", "GET /dear/{id}");
    let table = |former: fn(Charge) -> Charge| {
        two(&shop, (rules.0, uses()), (rules.1, former(dear()))).unwrap()
    };
    // Another method, or a pattern that is sold no more.
    let other = ("POST /w/{id}", "GET /dear/{id}");
    let charge = dear().former_pattern("/w/{id}");
    let _ = two(&shop, (other.0, uses()), (other.1, charge)).unwrap();
    let _ = table(|dear| dear.former_pattern("/old/{id}"));

    // The whole route is known only behind the nest.
    for (route, is_sold_there) in [("/v1", true), ("/v2", false)] {
        let app = Router::new().nest(route, table(|dear| dear.former_route("/v1/w/{id}")));
        let v1 = Router::new().nest("/v1", table(|dear| dear));
        let cheap = shop.buy(&v1, get("/v1/w/1")).await;
        let is_open = opens(&app, &format!("{route}/dear/1"), &cheap).await;
        assert_eq!(is_open, !is_sold_there, "{route}");
    }
}

#[tokio::test]
async fn a_rule_may_be_split_in_two_that_sell_the_same() {
    let shop = Shop::new();
    let before = tabled(&shop, "/w/{id}", uses());
    let credential = shop.buy(&before, get("/w/special")).await;
    let split = |charge: Charge| {
        let rules = ("GET /w/{id}", "GET /w/special");
        two(
            &shop,
            (rules.0, uses()),
            (rules.1, charge.former_pattern("/w/{id}")),
        )
    };
    let after = split(uses()).unwrap();
    assert!(opens(&after, "/w/special", &credential).await);
    assert!(opens(&after, "/w/other", &credential).await);
    for dearer in [
        Charge::new(Amount::from_sat(11)).uses(NonZeroU32::new(9).unwrap()),
        Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(10).unwrap()),
        Charge::new(price_fn(|_| async { Ok(None) })).uses(NonZeroU32::new(9).unwrap()),
        uses().bind_headers(["x-tenant"]),
    ] {
        split(dearer).unwrap_err();
    }
}

#[tokio::test]
async fn two_charges_of_one_url_open_each_other_unless_they_have_labels_and_it_is_logged_once() {
    for dialect in ALL {
        let journal = Journal::begin();
        tracing::callsite::rebuild_interest_cache();
        let shop = Shop::new();
        let route = |label: Option<&str>, sats| {
            let builder = shop.builder_of_every_dialect();
            let builder = match label {
                Some(label) => builder.service(label),
                None => builder,
            };
            let charge = Charge::new(Amount::from_sat(sats));
            let layer = builder.build().unwrap().charge(charge).unwrap();
            Router::new().route("/a", any(async || "made").layer(layer))
        };
        let call = Call::get("/a");
        let dear = route(None, 1_000);
        for status in [StatusCode::OK, StatusCode::OK] {
            let credential = call.buy(&shop, &route(None, 1), dialect).await;
            let answer = ask(&dear, call.paid(&credential)).await;
            assert_eq!(answer.status(), status, "{dialect}");
        }
        let logged = journal.lines().matches("sold for 1 sat").count();
        assert_eq!(logged, 1, "{dialect}: {}", journal.lines());
        let credential = call.buy(&shop, &route(Some("cheap"), 1), dialect).await;
        let answer = ask(&route(Some("dear"), 1_000), call.paid(&credential)).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
    }
}

#[tokio::test]
async fn the_same_history_on_two_rules_leaves_a_path_that_means_either_for_sale() {
    let shop = Shop::new();
    let now = || Charge::new(Amount::from_sat(10));
    let before = |sats| Charge::new(Amount::from_sat(sats));
    for (one, other, expected) in [
        (now(), now(), StatusCode::PAYMENT_REQUIRED),
        (
            now().earlier(before(5)),
            now().earlier(before(5)),
            StatusCode::PAYMENT_REQUIRED,
        ),
        (now().earlier(before(5)), now(), StatusCode::BAD_REQUEST),
        (
            now().earlier(before(5)),
            now().earlier(before(6)),
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let app = two(&shop, ("GET /s/{a}", one), ("GET /s/{a}/{b}", other)).unwrap();
        assert_eq!(ask(&app, get("/s/x%2Fy")).await.status(), expected);
    }
}

#[tokio::test]
async fn an_earlier_charge_for_several_uses_sold_no_request_in_any_dialect() {
    for dialect in ALL {
        let shop = Shop::new();
        let route = |charge: Charge| {
            let layer = shop.paywall_of_every_dialect().charge(charge).unwrap();
            Router::new().route("/a", any(async || "made").layer(layer))
        };
        let fixed = || Charge::new(Amount::from_sat(10));
        let by_size = price_fn(|q| async move {
            let size = q.header("x-size").map_or(10, |_| 1_000);
            Ok(Some(Amount::from_sat(size)))
        });
        let today = Charge::new(by_size)
            .reads_headers(["x-size"])
            .earlier(uses());
        let call = Call::get("/a");
        let credential = call.buy(&shop, &route(fixed()), dialect).await;
        let dear = Call::get("/a").header("x-size", "9").paid(&credential);
        let answer = ask(&route(today), dear).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_price_function_that_hangs_delays_what_was_sold_by_a_second() {
    let shop = Shop::new();
    let hour = |charge: Charge| charge.for_duration(Duration::from_secs(3_600));
    let hangs = price_fn(|_| async { std::future::pending().await });
    let before = tabled(&shop, "/a", hour(Charge::new(Amount::from_sat(10))));
    let credential = shop.buy(&before, get("/a")).await;
    let begun = tokio::time::Instant::now();
    let app = tabled(&shop, "/a", hour(Charge::new(hangs)));
    assert!(opens(&app, "/a", &credential).await);
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
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
