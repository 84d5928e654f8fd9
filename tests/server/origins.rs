//! Every spelling of an authority: the configured origin is bound, and requests for other servers
//! are refused.

use axum::{Router, routing::get as on_get};
use http::StatusCode;
use tower_x402::{Amount, DialectName, RouteTable, mpp, server::ClientAddr, x402};

use crate::{
    customer::{ALL, Call},
    shop::{ORIGIN, Shop, ask, get, problem, reason},
};

fn weather(shop: &Shop) -> Router {
    let paywall = shop
        .builder_of_every_dialect()
        .trusted_proxy("10.0.0.0/8")
        .accept_authority("internal:8080")
        .build()
        .unwrap();
    let layer = paywall
        .routes(
            RouteTable::new()
                .charge("GET /{*path}", Amount::from_sat(10))
                .otherwise_refuse(),
        )
        .unwrap();
    Router::new()
        .route("/{*path}", on_get(async || "sunny"))
        .layer(layer)
}

#[tokio::test]
async fn what_is_bound_is_the_configured_origin_whatever_the_client_sends() {
    let shop = Shop::new();
    let app = weather(&shop);
    for (peer, target, lines) in [
        ("203.0.113.1", "/weather", &[][..]),
        (
            "203.0.113.1",
            "/weather",
            &[("host", "api.example.com:443")],
        ),
        ("203.0.113.1", "/weather", &[("host", "API.example.com")]),
        ("203.0.113.1", "/weather", &[("host", "127.0.0.1:3000")]),
        ("203.0.113.1", "/weather", &[("host", "internal:8080")]),
        ("203.0.113.1", "http://api.example.com/weather", &[]),
        (
            "203.0.113.1",
            "/weather",
            &[
                ("x-forwarded-host", "evil.example"),
                ("forwarded", "host=evil.example"),
            ],
        ),
        (
            "203.0.113.1",
            "/weather",
            &[
                ("x-forwarded-prefix", "/evil"),
                ("x-original-url", "/evil"),
                ("x-rewrite-url", "/evil"),
            ],
        ),
        (
            "10.0.0.1",
            "/weather",
            &[
                ("host", "backend"),
                ("x-forwarded-host", "api.example.com"),
                ("x-forwarded-proto", "http"),
            ],
        ),
        (
            "10.0.0.1",
            "/weather",
            &[
                ("host", "api.example.com"),
                ("x-forwarded-host", "evil.example"),
            ],
        ),
    ] {
        let mut request = get(target);
        request
            .extensions_mut()
            .insert(ClientAddr::new(peer.parse().unwrap()));
        for (name, value) in lines {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let answer = ask(&app, request).await;
        let bought = shop.bought(&Call::new("GET", "/weather"), &answer);
        assert_eq!(bought.dialects(), ALL);
        assert_eq!(
            x402::Challenge::in_headers(answer.headers())[0].url(),
            Some("https://api.example.com/weather"),
            "{lines:?}"
        );
        assert_eq!(
            mpp::Challenge::in_headers(answer.headers())[0].realm,
            "api.example.com",
            "{lines:?}"
        );
    }
}

#[tokio::test]
async fn a_request_for_another_server_is_421_and_costs_nothing() {
    let shop = Shop::new();
    let app = weather(&shop);
    for (peer, target, lines) in [
        ("203.0.113.1", "/weather", &[("host", "evil.example")][..]),
        (
            "203.0.113.1",
            "/weather",
            &[("host", "api.example.com.evil.example")],
        ),
        (
            "203.0.113.1",
            "/weather",
            &[("host", "api.example.com:444")],
        ),
        (
            "203.0.113.1",
            "/weather",
            &[("host", "user@api.example.com")],
        ),
        ("203.0.113.1", "/weather", &[("host", "api.example.com/x")]),
        ("203.0.113.1", "/weather", &[("host", "api.example.com, ")]),
        ("203.0.113.1", "/weather", &[("host", "")]),
        (
            "203.0.113.1",
            "/weather",
            &[("host", "backend"), ("x-forwarded-host", "api.example.com")],
        ),
        ("203.0.113.1", "http://evil.example/weather", &[]),
        ("203.0.113.1", "http://user@api.example.com/weather", &[]),
        (
            "10.0.0.1",
            "/weather",
            &[("host", "backend"), ("x-forwarded-host", "evil.example")],
        ),
        (
            "10.0.0.1",
            "/weather",
            &[
                ("host", "backend"),
                ("x-forwarded-host", "//, api.example.com"),
            ],
        ),
        (
            "10.0.0.1",
            "/weather",
            &[("host", "api.example.com"), ("x-forwarded-proto", "//")],
        ),
    ] {
        let mut request = get(target);
        request
            .extensions_mut()
            .insert(ClientAddr::new(peer.parse().unwrap()));
        for (name, value) in lines {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let answer = ask(&app, request).await;
        assert_eq!(
            answer.status(),
            StatusCode::MISDIRECTED_REQUEST,
            "{target} {lines:?}"
        );
        let detail = problem(&answer)["detail"].as_str().unwrap().to_owned();
        assert!(
            detail.contains("send it there") || detail.contains("a name with an optional port"),
            "{detail}"
        );
    }
    let slashes = ask(&app, get("//evil.example/x")).await;
    assert_eq!(slashes.status(), StatusCode::BAD_REQUEST);
    assert_eq!(shop.node.invoices_created(), 0);
}

#[tokio::test]
async fn what_was_bought_at_one_origin_is_refused_at_another() {
    let shop = Shop::new();
    let paywall = shop
        .builder_of_every_dialect()
        .origin("https://other.example.com")
        .build()
        .unwrap();
    let layer = paywall.charge(Amount::from_sat(10)).unwrap();
    let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
    let here =
        Call::new("GET", "/weather").header("host", ORIGIN.strip_prefix("https://").unwrap());
    for (dialect, word) in [
        (DialectName::L402, "unknown_key"),
        (DialectName::Mpp, "invalid-challenge"),
        (DialectName::X402, "invalid_exact_lnbtc_request_mismatch"),
    ] {
        let bought = shop.bought(&here, &ask(&app, here.request()).await);
        let there = Call::new("GET", "/weather")
            .header("host", "other.example.com")
            .with(bought.of(dialect));
        assert_eq!(reason(&ask(&app, there.request()).await), word);
        assert_eq!(
            ask(&app, here.with(bought.of(dialect)).request())
                .await
                .status(),
            StatusCode::OK
        );
    }
}
