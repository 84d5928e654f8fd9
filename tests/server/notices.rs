//! Log lines about proxies that are not configured, and about limits that are reached.

use std::time::Duration;

use axum::{Router, body::Body, routing::get as on_get};
use http::{Request, StatusCode};
use tower_x402::{
    Amount,
    server::{ClientAddr, PaywallBuilder},
};

use crate::{
    journal::Journal,
    shop::{Shop, ask, get},
};

fn service(builder: PaywallBuilder) -> Router {
    let layer = builder
        .build()
        .unwrap()
        .charge(Amount::from_sat(10))
        .unwrap();
    Router::new().route("/weather", on_get(async || "sunny").route_layer(layer))
}

fn from(peer: &str, headers: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = get("/weather");
    request
        .extensions_mut()
        .insert(ClientAddr::new(peer.parse().unwrap()));
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

/// A line for each of so many requests by a proxy at `peer`, each for a client of its own.
async fn by_proxy(app: &Router, peer: &str, header: &'static str, requests: usize) {
    let word = if header == "forwarded" { "for=" } else { "" };
    for n in 0..requests {
        ask(app, from(peer, &[(header, &format!("{word}192.0.2.{n}"))])).await;
    }
}

fn lines_with(journal: &Journal, text: &str) -> usize {
    journal
        .lines()
        .lines()
        .filter(|line| line.contains(text))
        .count()
}

#[tokio::test]
async fn a_private_proxy_that_is_not_configured_is_logged_once_with_the_fix() {
    for header in ["x-forwarded-for", "forwarded"] {
        let journal = Journal::begin();
        let shop = Shop::new();
        let app = service(shop.builder());
        by_proxy(&app, "10.0.0.7", header, 3).await;
        assert_eq!(journal.lines(), "", "a few may be anything");
        by_proxy(&app, "10.0.0.7", header, 60).await;
        assert_eq!(
            journal.lines(),
            "WARN tower_x402 message=10.0.0.7 may be a proxy that is not configured: its requests carry `X-Forwarded-For` or \
             `Forwarded`, as any client's can, and all clients behind it count as one, for unpaid invoices and for free requests; \
             only if it is your proxy, call `.trusted_proxy(\"10.0.0.7\")`: a trusted address can name any client\n"
        );
        by_proxy(&app, "10.0.0.8", header, 60).await;
        by_proxy(&app, "10.0.0.7", header, 60).await;
        assert_eq!(lines_with(&journal, "is not configured"), 1);
        assert_eq!(lines_with(&journal, "trusted_proxy"), 1);
        assert_eq!(
            lines_with(&journal, "the client 10.0.0.7: it holds its 64 unpaid ones"),
            1
        );
    }
}

#[tokio::test]
async fn two_proxies_in_turn_are_found_too_and_strangers_with_their_headers_are_not() {
    let journal = Journal::begin();
    let shop = Shop::new();
    let app = service(shop.builder());
    by_proxy(&app, "203.0.113.9", "x-forwarded-for", 40).await;
    assert_eq!(journal.lines(), "");
    for n in 0..40 {
        by_proxy(
            &app,
            ["192.168.0.1", "192.168.0.2"][n % 2],
            "x-forwarded-for",
            1,
        )
        .await;
    }
    assert_eq!(lines_with(&journal, ".trusted_proxy(\"192.168.0."), 1);
}

#[tokio::test]
async fn a_proxy_is_logged_at_once_if_its_clients_are_refused() {
    let journal = Journal::begin();
    let shop = Shop::new();
    let app = service(shop.builder().max_unpaid_per_client(2));
    by_proxy(&app, "::1", "x-forwarded-for", 3).await;
    assert_eq!(lines_with(&journal, ".trusted_proxy(\"::1\")"), 1);
}

#[tokio::test]
async fn one_request_with_a_forged_header_does_not_use_up_the_notice() {
    let journal = Journal::begin();
    let shop = Shop::new();
    let app = service(shop.builder().max_unpaid_per_client(2));
    for headers in [&[][..], &[], &[("x-forwarded-for", "192.0.2.1")]] {
        ask(&app, from("192.168.0.66", headers)).await;
    }
    assert_eq!(
        journal.lines(),
        "WARN tower_x402 message=no invoices for the client 192.168.0.66: it holds its 2 unpaid ones; .max_unpaid_per_client(..) \
         allows more; it sends a proxy's headers, as any client can: only if it is your proxy, call \
         .trusted_proxy(\"192.168.0.66\")\n"
    );
    by_proxy(&app, "10.0.0.7", "x-forwarded-for", 16).await;
    assert_eq!(
        lines_with(&journal, "10.0.0.7 may be a proxy that is not configured"),
        1,
        "{}",
        journal.lines()
    );
}

#[tokio::test]
async fn a_named_proxy_is_logged_if_another_one_stands_before_it_or_its_header_is_not_read() {
    let chain = "198.51.100.1, 192.168.0.9";
    for (header, value, said) in [
        ("x-forwarded-for", chain, ".trusted_proxy(\"192.168.0.9\")"),
        (
            "forwarded",
            "for=198.51.100.1",
            "call `.proxies_send_forwarded()`",
        ),
    ] {
        let journal = Journal::begin();
        let shop = Shop::new();
        let app = service(shop.builder().trusted_proxy("10.0.0.7"));
        for _ in 0..40 {
            ask(&app, from("10.0.0.7", &[(header, value)])).await;
        }
        assert_eq!(lines_with(&journal, said), 1, "{}", journal.lines());
    }
    let journal = Journal::begin();
    let app = service(Shop::new().builder().trusted_proxy("10.0.0.7"));
    by_proxy(&app, "10.0.0.7", "x-forwarded-for", 64).await;
    assert_eq!(journal.lines(), "");
}

#[tokio::test]
async fn a_full_limiter_is_logged_once_in_a_while() {
    let journal = Journal::begin();
    let shop = Shop::new();
    let app = service(shop.builder().max_unpaid(20).max_unpaid_per_client(5));
    let mut refused = 0;
    for n in 0..60 {
        let status = ask(&app, from(&format!("198.51.100.{n}"), &[]))
            .await
            .status();
        refused += usize::from(status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(refused, 42);
    assert_eq!(
        journal.lines(),
        "WARN tower_x402 message=no invoices for clients that have not paid before: all clients together hold their 20 unpaid \
         ones; .max_unpaid(..) allows more, and a shorter .invoice_expiry(..) frees them sooner\n"
    );
    for minutes in [1, 3] {
        shop.clock.advance(Duration::from_secs(minutes * 60));
        ask(&app, from("203.0.113.1", &[])).await;
    }
    assert_eq!(
        lines_with(&journal, "all clients together"),
        1,
        "the invoices have not ended yet"
    );
    for n in 0..60 {
        shop.clock.advance(Duration::from_secs(1));
        ask(&app, from(&format!("198.51.100.{n}"), &[])).await;
    }
    assert_eq!(lines_with(&journal, "all clients together"), 2);
}

#[tokio::test]
async fn a_client_or_a_network_that_holds_its_share_is_logged_once_in_a_while() {
    let journal = Journal::begin();
    let shop = Shop::new();
    let app = service(shop.builder().max_unpaid_per_client(2));
    for n in 0..40 {
        ask(&app, from(&format!("198.51.100.{}", n % 3), &[])).await;
    }
    assert_eq!(
        journal.lines(),
        "WARN tower_x402 message=no invoices for the client 198.51.100.0: it holds its 2 unpaid ones; .max_unpaid_per_client(..) \
         allows more, and if it is a proxy, name it with .trusted_proxy(..)\n"
    );
    shop.clock.advance(Duration::from_secs(300));
    for n in 0..10 {
        ask(&app, from(&format!("2001:db8:1:{n:x}::1"), &[])).await;
    }
    assert_eq!(
        lines_with(
            &journal,
            "the network 2001:db8:1::/56: its clients hold its share of 8"
        ),
        1,
        "{}",
        journal.lines()
    );
}
