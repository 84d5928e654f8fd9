//! Values exactly at a limit of the configuration, and the headers of every answer of the layer.

use std::{convert::Infallible, num::NonZeroU32, time::Duration};

use axum::{Router, body::Body, routing::any};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tower::{Layer as _, service_fn};
use tower_x402::{
    Amount, Charge, DialectName, MemoryStore, Paywall, RouteTable,
    body::RequestBody,
    clock::{TestClock, Timestamp},
    lightning::LocalNode,
    price_fn,
    server::{ClientAddr, PaywallBuilder},
};

use crate::{
    customer::{ALL, Call},
    shop::{Lasting, NOW, Shop, ask, get, paid, problem},
};

/// 21 million bitcoin in millisatoshis.
const ALL_BITCOIN: u64 = 2_100_000_000_000_000_000;
const YEAR: Duration = Duration::from_secs(366 * 86_400);

fn app(paywall: &Paywall, charge: impl Into<Charge>) -> Router {
    Router::new().route(
        "/a",
        any(|body: Bytes| async move { body }).layer(paywall.charge(charge).unwrap()),
    )
}

#[test]
fn times_of_a_second_and_of_a_year_are_taken_and_no_others() {
    for (time, is_taken) in [
        (Duration::from_millis(999), false),
        (Duration::from_secs(1), true),
        (YEAR, true),
        (YEAR + Duration::from_nanos(1), false),
    ] {
        let set: [fn(PaywallBuilder, Duration) -> PaywallBuilder; 2] =
            [PaywallBuilder::invoice_expiry, PaywallBuilder::time_limit];
        for set in set {
            assert_eq!(
                set(Shop::new().builder(), time).build().is_ok(),
                is_taken,
                "{time:?}"
            );
        }
    }
}

#[test]
fn an_l402_service_has_a_plain_name() {
    let longest = "s".repeat(64);
    for (name, is_taken) in [
        ("a", true),
        ("api-v1.X_9", true),
        (&*longest, true),
        ("", false),
        (&*format!("{longest}s"), false),
        ("a b", false),
        ("a:0", false),
        ("a,b", false),
        ("caf\u{e9}", false),
    ] {
        assert_eq!(
            Shop::new().builder().l402_service(name).build().is_ok(),
            is_taken,
            "{name:?}"
        );
    }
}

#[test]
fn texts_of_a_charge_are_taken_up_to_their_limit() {
    let paywall = Shop::new().builder().dialects(ALL).build().unwrap();
    let taken = |charge: Charge| paywall.charge(charge).is_ok();
    let sat = || Charge::new(Amount::from_sat(1));
    let text = |length: usize| "t".repeat(length);
    for (more, is_taken) in [(0, true), (1, false)] {
        assert_eq!(taken(sat().service_name(text(32 + more))), is_taken);
        assert_eq!(taken(sat().tags([text(32 + more)])), is_taken);
        assert_eq!(taken(sat().tags(vec!["t"; 5 + more])), is_taken);
        assert_eq!(taken(sat().icon_url(text(2048 + more))), is_taken);
        assert_eq!(taken(sat().mime_type(text(128 + more))), is_taken);
        assert_eq!(taken(sat().description(text(256 + more))), is_taken);
        assert_eq!(
            taken(Charge::new(Amount::from_msat(ALL_BITCOIN + more as u64))),
            is_taken
        );
    }
    assert!(!taken(sat().tags(["\u{e9}"])) && !taken(sat().mime_type("\u{7f}")));
}

#[tokio::test]
async fn a_paywall_of_an_insecure_origin_alone_serves_it() {
    let shop = Shop::new();
    let builder = Paywall::builder(shop.node.clone()).master_secret(*b"\x01\x9c\x4e\x77\xaa\x03\x1f\xd2\x88\x6b\x15\xe0\x5a\xc9\x30\xf4\x71\x0d\xb6\x2e\x93\x48\xfd\x66\x1b\xc7\x50\x8a\xef\x04\x39\xd5");
    let builder = builder
        .replay_store(MemoryStore::new().unwrap())
        .clock(shop.clock.clone())
        .dialects([DialectName::L402]);
    let app = app(
        &builder
            .insecure_origin("http://api.example.com")
            .build()
            .unwrap(),
        Amount::from_sat(1),
    );
    let request = |host: &str| {
        Request::get("/a")
            .header("host", host)
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(
        ask(&app, request("api.example.com")).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    assert_eq!(
        ask(&app, request("other.example.com")).await.status(),
        StatusCode::MISDIRECTED_REQUEST
    );
}

fn from(proxy: &str, header: &str, client: &str) -> Request<Body> {
    let mut request = Request::get("/a")
        .header(header, client)
        .body(Body::empty())
        .unwrap();
    request
        .extensions_mut()
        .insert(ClientAddr::new(proxy.parse().unwrap()));
    request
}

#[tokio::test]
async fn clients_behind_proxies_are_read_from_the_chosen_header() {
    for (forwarded, read, unread) in [
        (
            true,
            ("forwarded", "for=198.51.100."),
            ("x-forwarded-for", "198.51.100."),
        ),
        (
            false,
            ("x-forwarded-for", "198.51.100."),
            ("forwarded", "for=198.51.100."),
        ),
    ] {
        let shop = Shop::new();
        let builder = shop
            .builder()
            .trusted_proxy("10.0.0.0/8")
            .max_unpaid_per_client(1);
        let builder = if forwarded {
            builder.proxies_send_forwarded()
        } else {
            builder
        };
        let app = app(&builder.build().unwrap(), Amount::from_sat(1));
        let statuses = async |(header, prefix): (&str, &str)| {
            let mut statuses = Vec::new();
            for client in [1, 2, 1] {
                let request = from("10.0.0.1", header, &format!("{prefix}{client}"));
                statuses.push(ask(&app, request).await.status().as_u16());
            }
            statuses
        };
        assert_eq!(statuses(read).await, [402, 402, 429], "{read:?}");
        assert_eq!(
            statuses(unread).await,
            [402, 429, 429],
            "all are the proxy: {unread:?}"
        );
    }
}

#[tokio::test]
async fn an_address_with_one_bracket_is_unknown() {
    let shop = Shop::new();
    let paywall = shop
        .builder()
        .trusted_proxy("10.0.0.0/8")
        .max_unpaid_per_client(1)
        .build()
        .unwrap();
    let app = app(&paywall, Amount::from_sat(1));
    let status = async |client| {
        ask(&app, from("10.0.0.1", "x-forwarded-for", client))
            .await
            .status()
            .as_u16()
    };
    assert_eq!(status("2001:db8::1").await, 402);
    assert_eq!(status("[2001:db8::1]").await, 429);
    assert_eq!(status("[2001:db8::1").await, 402, "it is not that client");
}

#[tokio::test]
async fn several_uses_are_of_the_whole_rule_without_a_router_that_tells_its_pattern() {
    let shop = Shop::new();
    let uses = Charge::new(Amount::from_sat(1)).uses(NonZeroU32::new(2).unwrap());
    let table = RouteTable::new()
        .charge("GET /weather/{city}", uses)
        .otherwise_refuse();
    let layer = shop.paywall().routes(table).unwrap();
    let service = layer.layer(service_fn(async |_: Request<RequestBody<Body>>| {
        Ok::<_, Infallible>(Response::new(Body::empty()))
    }));
    let credential = shop.buy(&service, get("/weather/oslo")).await;
    for city in ["/weather/bergen", "/weather/oslo"] {
        assert_eq!(
            ask(&service, paid(city, &credential)).await.status(),
            StatusCode::OK,
            "{city}"
        );
    }
}

#[tokio::test]
async fn a_429_has_a_reason_for_x402_if_that_is_enabled() {
    for dialects in [
        &ALL[..],
        &[DialectName::X402],
        &[DialectName::L402],
        &[DialectName::L402, DialectName::Mpp],
    ] {
        let shop = Shop::new();
        let paywall = shop
            .builder()
            .dialects(dialects.iter().copied())
            .max_unpaid(1)
            .max_unpaid_per_client(1)
            .build()
            .unwrap();
        let app = app(&paywall, Amount::from_sat(1));
        assert_eq!(
            ask(&app, get("/a")).await.status(),
            StatusCode::PAYMENT_REQUIRED
        );
        let answer = ask(&app, get("/a")).await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        let reason = dialects
            .contains(&DialectName::X402)
            .then_some("exact_lnbtc_invoice_issuance_denied");
        assert_eq!(problem(&answer)["reason"].as_str(), reason, "{dialects:?}");
    }
}

#[tokio::test]
async fn every_answer_of_the_layer_is_a_problem_that_is_never_stored() {
    let shop = Shop::new();
    let paywall = shop
        .builder()
        .max_unpaid(1)
        .max_unpaid_per_client(1)
        .build()
        .unwrap();
    let (app, free) = (
        app(&paywall, Amount::from_sat(1)),
        price_fn(|_| async { Err("no price today".into()) }),
    );
    let unpriced = self::app(&shop.paywall(), free);
    let misdirected = Request::get("/a")
        .header("host", "other")
        .body(Body::empty())
        .unwrap();
    let answers = [
        (ask(&app, get("/a")).await, StatusCode::PAYMENT_REQUIRED),
        (ask(&app, get("/a")).await, StatusCode::TOO_MANY_REQUESTS),
        (
            ask(&app, misdirected).await,
            StatusCode::MISDIRECTED_REQUEST,
        ),
        (
            ask(&unpriced, get("/a")).await,
            StatusCode::SERVICE_UNAVAILABLE,
        ),
    ];
    for (answer, status) in answers {
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(problem(&answer)["status"], status.as_u16());
    }
}

/// The credential of an instance with other secrets, paid at the same node.
#[tokio::test]
async fn a_foreign_proof_is_priced_by_the_body_that_it_was_bought_for() {
    let shop = Shop::new();
    let by_length = || {
        Charge::new(price_fn(|request| async move {
            Ok(Some(Amount::from_sat(u32::try_from(request.body().len())?)))
        }))
        .reads_body()
    };
    let other = shop.builder().dialects(ALL).master_secret(*b"\x91\x0c\x4e\x77\xaa\x03\x1f\xd2\x88\x6b\x15\xe0\x5a\xc9\x30\xf4\x71\x0d\xb6\x2e\x93\x48\xfd\x66\x1b\xc7\x50\x8a\xef\x04\x39\xd5");
    shop.clock.advance(Duration::from_secs(600));
    let call = Call::post("/a", b"12345");
    let credential = call
        .buy(
            &shop,
            &app(&other.build().unwrap(), by_length()),
            DialectName::X402,
        )
        .await;
    let ours = shop
        .builder()
        .dialects(ALL)
        .replay_store(Lasting(shop.store.clone()))
        .accept_foreign_proofs();
    let served = ask(
        &app(&ours.build().unwrap(), by_length()),
        call.paid(&credential),
    )
    .await;
    assert_eq!(
        (served.status(), &served.body()[..]),
        (StatusCode::OK, &b"12345"[..])
    );
}

#[tokio::test]
async fn a_nodes_clock_may_be_a_minute_ahead_and_its_invoice_a_second_from_its_end() {
    for (node_now, status) in [
        (NOW + 60, StatusCode::PAYMENT_REQUIRED),
        (NOW + 61, StatusCode::SERVICE_UNAVAILABLE),
        (NOW - 299, StatusCode::PAYMENT_REQUIRED),
        (NOW - 300, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let mut shop = Shop::new();
        shop.node =
            LocalNode::new().with_clock(TestClock::at(Timestamp::from_unix_seconds(node_now)));
        let answer = ask(&app(&shop.paywall(), Amount::from_sat(1)), get("/a")).await;
        assert_eq!(answer.status(), status, "{node_now}");
    }
}
