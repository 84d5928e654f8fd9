//! Limits on unpaid invoices: of one client, of networks, and of all.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, routing::get as on_get};
use http::{Request, Response, StatusCode};
use tower_x402::{Amount, Charge, Paywall, server::ClientAddr};

use crate::{
    journal::Journal,
    shop::{Shop, ask, get, paid},
};

pub(crate) fn service(paywall: &Paywall) -> Router {
    Router::new().route(
        "/weather",
        on_get(async || "sunny").route_layer(paywall.charge(Amount::from_sat(10)).unwrap()),
    )
}

pub(crate) fn from(address: &str) -> Request<Body> {
    let mut request = get("/weather");
    request
        .extensions_mut()
        .insert(ClientAddr::new(address.parse().unwrap()));
    request
}

/// How many of so many requests are answered with an invoice; the others must be 429.
pub(crate) async fn invoices(
    app: &Router,
    requests: usize,
    request: impl Fn() -> Request<Body>,
) -> usize {
    let mut invoices = 0;
    for _ in 0..requests {
        match ask(app, request()).await.status() {
            StatusCode::PAYMENT_REQUIRED => invoices += 1,
            status => assert_eq!(status, StatusCode::TOO_MANY_REQUESTS),
        }
    }
    invoices
}

#[track_caller]
pub(crate) fn retry_after<B>(answer: &Response<B>) -> u64 {
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    answer.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_client_holds_64_unpaid_invoices_and_is_told_when_to_come_back() {
    let shop = Shop::new();
    let app = service(&shop.paywall());
    assert_eq!(invoices(&app, 10, || from("198.51.100.1")).await, 10);
    shop.clock.advance(Duration::from_secs(100));
    assert_eq!(invoices(&app, 70, || from("198.51.100.1")).await, 54);
    assert_eq!(shop.node.invoices_created(), 64);
    assert_eq!(retry_after(&ask(&app, from("198.51.100.1")).await), 200);
    assert_eq!(invoices(&app, 70, || from("198.51.100.2")).await, 64);

    // The first ten end after 300 s.
    shop.clock.advance(Duration::from_secs(201));
    assert_eq!(invoices(&app, 70, || from("198.51.100.1")).await, 10);
    assert!(retry_after(&ask(&app, from("198.51.100.1")).await) >= 1);
}

#[tokio::test]
async fn a_network_of_64_bits_is_one_client() {
    let shop = Shop::new();
    let app = service(&shop.builder().max_unpaid_per_client(3).build().unwrap());
    let mut host = 0;
    let mut next = || {
        host += 1;
        from(&format!("2001:db8:0:1::{host:x}"))
    };
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(ask(&app, next()).await.status().as_u16());
    }
    assert_eq!(statuses, [402, 402, 402, 429, 429]);
    assert_eq!(
        ask(&app, from("2001:db8:0:2::1")).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
}

#[tokio::test]
async fn the_client_is_read_from_axums_connect_info() {
    let shop = Shop::new();
    let app = service(&shop.builder().max_unpaid_per_client(2).build().unwrap());
    let request = |last: u8, port: u16| {
        let mut request = get("/weather");
        request
            .extensions_mut()
            .insert(ConnectInfo(SocketAddr::from(([198, 51, 100, last], port))));
        request
    };
    assert_eq!(invoices(&app, 5, || request(1, 1000)).await, 2);
    assert_eq!(invoices(&app, 5, || request(1, 2000)).await, 0);
    assert_eq!(invoices(&app, 5, || request(2, 1000)).await, 2);
}

#[tokio::test]
async fn a_header_that_anybody_can_send_makes_no_new_client() {
    let shop = Shop::new();
    let app = service(
        &shop
            .builder()
            .max_unpaid_per_client(2)
            .trusted_proxy("10.0.0.0/8")
            .build()
            .unwrap(),
    );
    let mut told = 0_u8;
    let mut statuses = Vec::new();
    for (peer, prefix) in [
        ("203.0.113.9", ""),
        ("10.0.0.1", "1.2.3."),
        ("10.0.0.1", ""),
    ] {
        for _ in 0..4 {
            told += 1;
            let mut request = from(peer);
            // A proxy appends its client's address. Everything before it was sent by the client.
            let line = if prefix.is_empty() {
                format!("192.0.2.{told}")
            } else {
                format!("{prefix}{told}, 198.51.100.7")
            };
            for name in [
                "x-forwarded-for",
                "forwarded",
                "x-real-ip",
                "cf-connecting-ip",
            ] {
                request.headers_mut().insert(name, line.parse().unwrap());
            }
            statuses.push(ask(&app, request).await.status().as_u16());
        }
    }
    assert_eq!(
        statuses[..4],
        [402, 402, 429, 429],
        "a stranger chose its own address"
    );
    assert_eq!(
        statuses[4..8],
        [402, 402, 429, 429],
        "a client chose what stands left of its address"
    );
    assert_eq!(
        statuses[8..],
        [402; 4],
        "clients of a trusted proxy are told apart"
    );
}

#[tokio::test]
async fn unknown_clients_share_what_is_there_for_all_and_the_first_is_logged() {
    let journal = Journal::begin();
    let shop = Shop::new();
    let app = service(
        &shop
            .builder()
            .max_unpaid_per_client(2)
            .max_unpaid(100)
            .build()
            .unwrap(),
    );
    assert_eq!(invoices(&app, 1, || from("198.51.100.1")).await, 1);
    assert_eq!(journal.lines(), "");
    assert_eq!(
        invoices(&app, 120, || get("/weather")).await,
        89,
        "a tenth is kept for clients that have paid"
    );
    let lines = journal.lines();
    let (first, others) = lines.split_once('\n').unwrap();
    assert_eq!(
        first,
        "WARN tower_x402 message=a client's address is not known: all such clients share one limit for unpaid invoices and get \
         no free requests; serve with `into_make_service_with_connect_info::<SocketAddr>()`, or insert a `ClientAddr` into each \
         request's extensions, and have trusted proxies name their clients"
    );
    assert!(
        others.contains("hold their 100 unpaid ones") && others.lines().count() == 1,
        "{others}"
    );
}

#[tokio::test]
async fn many_strangers_use_up_the_part_for_strangers_and_a_client_that_paid_still_gets_an_invoice()
{
    let shop = Shop::new();
    let app = service(&shop.builder().max_unpaid(20).build().unwrap());
    let credential = shop.pay(&ask(&app, from("198.51.100.1")).await);
    let mut request = paid("/weather", &credential);
    request
        .extensions_mut()
        .insert(ClientAddr::new("198.51.100.1".parse().unwrap()));
    assert_eq!(ask(&app, request).await.status(), StatusCode::OK);

    let mut given = 0;
    for stranger in 0..40 {
        given += invoices(&app, 1, || from(&format!("192.0.2.{stranger}"))).await;
    }
    assert_eq!(given, 18);
    assert_eq!(invoices(&app, 1, || from("203.0.113.1")).await, 0);
    assert_eq!(invoices(&app, 5, || from("198.51.100.1")).await, 2);
}

#[tokio::test]
async fn one_household_or_site_cannot_take_the_invoices_of_all() {
    for (second, third) in [(0x100, 1), (1, 0x100)] {
        let shop = Shop::new();
        let app = service(
            &shop
                .builder()
                .max_unpaid_per_client(4)
                .max_unpaid(200)
                .build()
                .unwrap(),
        );
        let mut given = 0;
        for network in 0..256 {
            // 256 networks of 64 bits of one household, and of as many households of one site.
            let address = format!("2001:db8:1:{:x}::1", network * second / third);
            given += invoices(&app, 5, || from(&address)).await;
        }
        assert_eq!(given, if second == 1 { 4 } else { 58 });
        assert_eq!(invoices(&app, 5, || from("2001:db8:2::1")).await, 4);
        assert_eq!(invoices(&app, 5, || from("198.51.100.1")).await, 4);
    }
}

#[tokio::test]
async fn a_client_that_redeems_after_its_invoices_end_has_paid_and_nobody_else_with_the_same_payment()
 {
    for charge in [
        Charge::new(Amount::from_sat(10)),
        Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(40).unwrap()),
        Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(9_000)),
    ] {
        let shop = Shop::new();
        let paywall = shop.builder().max_unpaid(20).build().unwrap();
        let app = Router::new().route(
            "/weather",
            on_get(async || "sunny").route_layer(paywall.charge(charge).unwrap()),
        );
        let credential = shop.pay(&ask(&app, from("198.51.100.1")).await);
        shop.clock.advance(Duration::from_secs(3_600));
        assert_eq!(invoices(&app, 18, || from("192.0.2.1")).await, 18);
        for last in 1..20 {
            let mut request = paid("/weather", &credential);
            request.extensions_mut().insert(ClientAddr::new(
                format!("198.51.100.{last}").parse().unwrap(),
            ));
            ask(&app, request).await;
        }
        for last in 2..20 {
            assert_eq!(
                invoices(&app, 1, || from(&format!("198.51.100.{last}"))).await,
                0
            );
        }
        assert_eq!(invoices(&app, 3, || from("198.51.100.1")).await, 2);
    }
}

#[tokio::test]
async fn the_networks_of_one_household_share_its_free_requests() {
    let shop = Shop::new();
    let charge = Charge::new(Amount::from_sat(10)).free_per_day(NonZeroU32::new(2).unwrap());
    let layer = shop.paywall().charge(charge).unwrap();
    let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
    let mut free = 0;
    for network in 0..64 {
        free += usize::from(
            ask(&app, from(&format!("2001:db8:1:{network:x}::1")))
                .await
                .status()
                == StatusCode::OK,
        );
    }
    assert_eq!(free, 8);
    assert_eq!(
        ask(&app, from("2001:db8:2::1")).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn who_has_paid_is_served_whatever_the_limit() {
    let shop = Shop::new();
    let app = service(
        &shop
            .builder()
            .max_unpaid_per_client(1)
            .max_unpaid(2)
            .build()
            .unwrap(),
    );
    let credential = shop.pay(&ask(&app, from("198.51.100.1")).await);
    assert_eq!(invoices(&app, 3, || from("198.51.100.2")).await, 1);
    assert_eq!(invoices(&app, 3, || from("198.51.100.1")).await, 0);
    let mut request = paid("/weather", &credential);
    request
        .extensions_mut()
        .insert(ClientAddr::new("198.51.100.1".parse().unwrap()));
    assert_eq!(ask(&app, request).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allowance_is_counted_once_for_each_request_however_many_race() {
    let shop = Shop::new();
    let charge = Charge::new(Amount::from_sat(10)).free_per_day(NonZeroU32::new(20).unwrap());
    let layer = shop.paywall().charge(charge).unwrap();
    let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..60 {
        let (app, mut request) = (app.clone(), from("198.51.100.1"));
        // A new address in a header that anybody can send is no new client.
        request.headers_mut().insert(
            "x-forwarded-for",
            format!("192.0.2.{task}").parse().unwrap(),
        );
        tasks.spawn(async move { ask(&app, request).await.status() });
    }
    let free = tasks
        .join_all()
        .await
        .into_iter()
        .filter(|status| *status == StatusCode::OK)
        .count();
    assert_eq!(free, 20);
    assert_eq!(shop.node.invoices_created(), 40);
    assert_eq!(
        ask(&app, from("198.51.100.2")).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        ask(&app, get("/weather")).await.status(),
        StatusCode::PAYMENT_REQUIRED,
        "an unknown client has none"
    );
    shop.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(
        ask(&app, from("198.51.100.1")).await.status(),
        StatusCode::OK
    );
}
