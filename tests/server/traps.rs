//! Settings and requests that looked right and opened a hole, or failed without a word.

use std::time::Duration;

use axum::{Router, routing::get as on_get};
use http::StatusCode;
use tower_x402::{
    Amount, Charge, DialectName, RouteTable,
    server::{ClientAddr, PaywallBuilder},
};

use crate::{
    customer::{ALL, Call},
    shop::{Shop, ask, get, problem},
};

pub(crate) fn service(builder: PaywallBuilder, charge: impl Into<Charge>) -> Router {
    let layer = builder.build().unwrap().charge(charge).unwrap();
    let served = || on_get(async || "served").route_layer(layer.clone());
    Router::new().route("/a", served()).route("/b", served())
}

#[track_caller]
fn fault(builder: PaywallBuilder) -> String {
    builder.build().unwrap_err().to_string()
}

#[test]
fn a_proxy_that_is_everybody_is_refused_and_the_error_names_the_setting_for_it() {
    for wide in [
        "0.0.0.0/0",
        "::/0",
        "0.0.0.0/1",
        "128.0.0.0/1",
        "2000::/3",
        "::ffff:0:0/96",
    ] {
        let text = fault(
            Shop::new()
                .builder()
                .trusted_proxy("10.0.0.0/8")
                .trusted_proxy(wide),
        );
        assert!(
            text.starts_with(&format!("trusted proxy `{wide}`: "))
                && text.contains(".trusted_hops(..)"),
            "{text}"
        );
    }
    for hops in [0, 33, usize::MAX] {
        assert_eq!(
            fault(Shop::new().builder().trusted_hops(hops)),
            format!(
                ".trusted_hops({hops}): expected how many proxies every request passes, from 1 to 32"
            )
        );
    }
    let both = Shop::new()
        .builder()
        .trusted_proxy("10.0.0.0/8")
        .trusted_hops(1);
    assert!(fault(both).contains("keep .trusted_proxy(..) if their addresses are fixed"));
    for (hops, network) in [(1, None), (32, None), (1, Some("10.0.0.0/8"))] {
        let builder = Shop::new().builder();
        let built = match network {
            Some(network) => builder.trusted_proxy(network).build(),
            None => builder.trusted_hops(hops).build(),
        };
        assert!(built.is_ok());
    }
}

/// What a client sends in the header stands further left than what the proxies append.
#[tokio::test]
async fn behind_proxies_of_any_address_no_header_makes_another_client() {
    let shop = Shop::new();
    let builder = shop.builder().trusted_hops(2).max_unpaid_per_client(2);
    let app = service(builder, Amount::from_sat(1));
    let mut statuses = Vec::new();
    for (number, client) in [
        "198.51.100.1",
        "198.51.100.1",
        "198.51.100.1",
        "198.51.100.2",
    ]
    .into_iter()
    .enumerate()
    {
        let mut request = get("/a");
        let proxy = [100, 64, 0, u8::try_from(number).unwrap()].into();
        request.extensions_mut().insert(ClientAddr::new(proxy));
        let line = format!("192.0.2.{number}, {client}, 203.0.113.{number}");
        request
            .headers_mut()
            .insert("x-forwarded-for", line.parse().unwrap());
        statuses.push(ask(&app, request).await.status().as_u16());
    }
    assert_eq!(statuses, [402, 402, 429, 402]);
}

#[test]
fn settings_that_cannot_be_meant_are_refused_with_the_fix() {
    let builder = || Shop::new().builder();
    let (ten, half) = (Duration::from_secs(10), Duration::from_millis(500));
    let late =
        "(..) must be at least 60 s, because payments settle late and clocks differ: raise it";
    for (builder, text) in [
        (
            builder().body_limit(0),
            ".body_limit(0) refuses every request with a body: set a limit of at least 1 byte, or let bodies pass unread with \
             Charge::stream_body"
                .to_owned(),
        ),
        (builder().redeem_within(ten), format!(".redeem_within{late}")),
        (builder().redeem_within(Duration::ZERO), format!(".redeem_within{late}")),
        (builder().uses_within(ten), format!(".uses_within{late}")),
        (builder().uses_within(half), format!(".uses_within{late}")),
        (
            builder().redeem_within(Duration::from_secs(60) + half),
            ".redeem_within(..) must be whole seconds, and this is 60.5s: round it".to_owned(),
        ),
        (
            builder().uses_within(Duration::from_secs(90) + half),
            ".uses_within(..) must be whole seconds, and this is 90.5s: round it".to_owned(),
        ),
        (
            builder().invoice_expiry(Duration::from_millis(1_500)),
            ".invoice_expiry(..) must be whole seconds, and this is 1.5s: round it".to_owned(),
        ),
        (
            builder().invoice_expiry(half),
            ".invoice_expiry(..) must be between a second and a year".to_owned(),
        ),
    ] {
        assert_eq!(fault(builder), text);
    }
    let minute = Duration::from_secs(60);
    assert!(
        builder()
            .body_limit(1)
            .redeem_within(minute)
            .uses_within(minute)
            .build()
            .is_ok()
    );
    let sells = |duration| {
        let charge = Charge::new(Amount::from_sat(1)).for_duration(duration);
        builder()
            .build()
            .unwrap()
            .charge(charge)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let text = |text: &str| Err(format!("charge(..): {text}"));
    assert_eq!(sells(half), text("a duration must be at least one second"));
    assert_eq!(
        sells(Duration::from_millis(1_250)),
        text("a duration must be whole seconds, and this is 1.25s: round it")
    );
    assert_eq!(sells(Duration::from_secs(1)), Ok(()));
}

#[test]
fn a_rule_that_no_request_can_match_is_refused() {
    let paywall = Shop::new().paywall();
    let compiles = |rule: &str| {
        let table = RouteTable::new()
            .charge(rule, Amount::from_sat(1))
            .otherwise_refuse();
        paywall
            .routes(table)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    for (rule, text) in [
        (
            "GET /{a}/{a}",
            "two captures have one name: give each its own",
        ),
        (
            "GET /{a}/x/{*a}",
            "two captures have one name: give each its own",
        ),
        (
            "GET /{{a}}/{b}/@{b}",
            "two captures have one name: give each its own",
        ),
        (
            "FOO /a",
            "no request has this method: expected one that HTTP registers, as in `GET /weather/{city}`",
        ),
        (
            "GETS /a",
            "no request has this method: expected one that HTTP registers, as in `GET /weather/{city}`",
        ),
        (
            "PSOT /a",
            "no request has this method: expected one that HTTP registers, as in `GET /weather/{city}`",
        ),
    ] {
        assert_eq!(compiles(rule), Err(format!("rule `{rule}`: {text}")));
    }
    for rule in [
        "PURGE /a",
        "PROPFIND /{a}/{b}",
        "QUERY /a",
        "GET /{{a}}/{a}",
        "GET /{a}/{aa}",
        "M-SEARCH /a",
    ] {
        let is_method = !rule.starts_with("M-");
        assert_eq!(compiles(rule).is_ok(), is_method, "{rule}");
    }
}

#[tokio::test]
async fn a_spent_credential_at_another_path_is_not_called_good() {
    for dialect in ALL {
        let shop = Shop::new();
        let app = service(shop.builder().dialects(ALL), Amount::from_sat(10));
        let line = Call::get("/a").buy(&shop, &app, dialect).await;
        assert_eq!(
            ask(&app, Call::get("/a").paid(&line)).await.status(),
            StatusCode::OK
        );
        for other in ["/b", "/a?x", "/b?x"] {
            let told = problem(&ask(&app, Call::get(other).paid(&line)).await);
            let detail = told["detail"].as_str().unwrap();
            // x402 looks at the payment first.
            let expected = if dialect == DialectName::X402 {
                "what this payment bought is used up; pay the fresh invoice and send its credential"
            } else {
                "the credential was bought for another request; for this one pay the fresh invoice"
            };
            assert_eq!(detail, expected, "{dialect} {other}");
        }
    }
}

#[tokio::test]
async fn a_credential_that_cannot_be_read_is_not_called_good_either() {
    let shop = Shop::new();
    let app = service(shop.builder().dialects(ALL), Amount::from_sat(10));
    for (name, value) in [
        ("authorization", "L402 x"),
        ("authorization", "Payment x"),
        ("payment-signature", "x"),
    ] {
        let call = Call::get("/a").header(name, value);
        let told = problem(&ask(&app, call.request()).await);
        let detail = told["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("the credential cannot be read; if its invoice was paid, send it again in the right form (`"),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn a_dot_at_the_end_and_what_a_proxy_leaves_empty_are_no_other_server() {
    let shop = Shop::new();
    let builder = || shop.builder().trusted_proxy("10.0.0.0/8");
    let price = Amount::from_sat(1);
    let by_x = service(builder(), price);
    let by_forwarded = service(builder().proxies_send_forwarded(), price);
    for (app, lines, status) in [
        (&by_x, &[("host", "api.example.com.")][..], 402),
        (&by_x, &[("host", "API.example.com.:443")], 402),
        (&by_x, &[("host", "api.example.com..")], 421),
        (
            &by_x,
            &[("host", "api.example.com"), ("x-forwarded-host", "")],
            402,
        ),
        (
            &by_x,
            &[("host", "api.example.com"), ("x-forwarded-proto", "")],
            402,
        ),
        (&by_x, &[("host", "backend"), ("x-forwarded-host", "")], 421),
        (
            &by_x,
            &[("host", "backend"), ("forwarded", "host=api.example.com")],
            421,
        ),
        (
            &by_forwarded,
            &[
                ("host", "backend"),
                ("forwarded", "for=192.0.2.1;host=api.example.com"),
            ],
            402,
        ),
        (
            &by_forwarded,
            &[
                ("host", "backend"),
                ("forwarded", "host=\"api.example.com:443\""),
            ],
            402,
        ),
        (
            &by_forwarded,
            &[("host", "backend"), ("forwarded", "host=evil.example")],
            421,
        ),
        (
            &by_forwarded,
            &[("host", "api.example.com"), ("forwarded", "host=")],
            402,
        ),
    ] {
        let mut request = get("/a");
        request
            .extensions_mut()
            .insert(ClientAddr::new([10, 0, 0, 1].into()));
        for (name, value) in lines {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let answer = ask(app, request).await;
        assert_eq!(answer.status().as_u16(), status, "{lines:?}");
    }
}
