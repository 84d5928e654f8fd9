//! Shared caches may store nothing that a client bought, and no answer of the layer itself.

use std::{io, num::NonZeroU32, time::Duration};

use axum::{Router, body::Body, response::IntoResponse as _, routing::get as on_get};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use tower::{Layer as _, service_fn};
use tower_x402::{
    Amount, DialectName, RouteTable,
    server::{Charge, ClientAddr, PriceRequest, price_fn},
};

use crate::{
    customer::{ALL, Call},
    shop::{Shop, ask, get, paid, request},
};

/// A handler that wants to be cached by everybody, whatever it answers.
async fn cacheable(request: Request<Body>) -> axum::response::Response {
    let status = if request.uri().path() == "/broken" {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::OK
    };
    let headers = [
        ("cache-control", "public, max-age=60, s-maxage=600"),
        ("cdn-cache-control", "max-age=600"),
        ("surrogate-control", "max-age=600"),
        ("x-accel-expires", "600"),
        ("cloudflare-cdn-cache-control", "max-age=600"),
        ("vercel-cdn-cache-control", "max-age=600"),
        ("netlify-cdn-cache-control", "public, max-age=600, durable"),
        ("edge-control", "!no-store, max-age=600"),
    ];
    (status, headers, "content").into_response()
}

fn service(shop: &Shop) -> Router {
    let layer = shop
        .paywall_of_every_dialect()
        .charge(Amount::from_sat(10))
        .unwrap();
    Router::new()
        .route("/weather", on_get(cacheable).route_layer(layer.clone()))
        .route("/broken", on_get(cacheable).route_layer(layer))
}

#[track_caller]
fn is_private(answer: &Response<Bytes>) {
    assert_eq!(
        answer
            .headers()
            .get_all("cache-control")
            .iter()
            .collect::<Vec<_>>(),
        ["max-age=60, private"]
    );
    let known = [
        "cache-control",
        "content-length",
        "content-type",
        "payment-receipt",
        "payment-response",
    ];
    let others = answer
        .headers()
        .keys()
        .filter(|name| !known.contains(&name.as_str()));
    assert_eq!(others.count(), 0, "{answer:?}");
}

#[tokio::test]
async fn a_paid_answer_is_private_whatever_the_handler_says() {
    let shop = Shop::new();
    let app = service(&shop);
    let day = Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(86_400));
    let day = Router::new().route(
        "/",
        on_get(cacheable).route_layer(shop.paywall().charge(day).unwrap()),
    );
    let call = Call::new("GET", "/");
    let bought = shop.bought(&call, &ask(&day, call.request()).await);
    for _ in 0..2 {
        let answer = ask(&day, call.with(bought.of(DialectName::L402)).request()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        is_private(&answer);
    }
    for path in ["/weather", "/broken"] {
        for dialect in ALL {
            let call = Call::new("GET", path);
            let bought = shop.bought(&call, &ask(&app, call.request()).await);
            let answer = ask(&app, call.with(bought.of(dialect)).request()).await;
            assert_eq!(answer.status() == StatusCode::OK, path == "/weather");
            is_private(&answer);
        }
    }
}

/// The handler's own headers, unchanged.
#[track_caller]
fn is_the_handlers_own(answer: &Response<Bytes>) {
    assert_eq!(
        answer.headers()["cache-control"],
        "public, max-age=60, s-maxage=600"
    );
    assert_eq!(answer.headers().len(), 10);
}

/// Charges that let some requests pass without payment, the first of each client among them.
fn charges_with_free_answers() -> [Charge; 4] {
    let for_members = price_fn(|asked: PriceRequest| async move {
        let is_member = asked.header("x-member").is_some();
        Ok((!is_member).then_some(Amount::from_sat(10)))
    });
    [
        price_fn(|_| async { Ok(None) }).into(),
        Charge::new(for_members).reads_headers(["x-member"]),
        Charge::new(Amount::from_sat(10)).free_per_day(NonZeroU32::MIN),
        Charge::new(Amount::from_sat(10))
            .for_duration(Duration::from_secs(60))
            .free_per_day(NonZeroU32::MIN),
    ]
}

/// A request that passes for free: of a member, from an address that can be counted.
fn of_a_member(method: &str, path: &str) -> Request<Body> {
    let mut request = request(method, path, None);
    let headers = request.headers_mut();
    headers.insert("x-member", "yes".parse().unwrap());
    let address = ClientAddr::new("192.0.2.7".parse().unwrap());
    request.extensions_mut().insert(address);
    request
}

#[tokio::test]
async fn what_a_priced_rule_lets_through_for_free_is_private() {
    for charge in charges_with_free_answers() {
        for path in ["/weather", "/broken"] {
            for method in ["GET", "HEAD", "POST"] {
                let shop = Shop::new();
                let paywall = shop.paywall();
                let layer = paywall.charge(charge.clone()).unwrap();
                let route = axum::routing::any(cacheable).layer(layer);
                is_private(
                    &ask(&Router::new().route(path, route), of_a_member(method, path)).await,
                );
                let table = RouteTable::new().charge(format!("{method} {path}"), charge.clone());
                let table = paywall.routes(table.otherwise_free()).unwrap();
                let app = Router::new().fallback(cacheable).layer(table);
                is_private(&ask(&app, of_a_member(method, path)).await);
            }
        }
    }
}

#[tokio::test]
async fn what_the_table_names_as_free_keeps_the_handlers_own_directives() {
    let shop = Shop::new();
    let table = RouteTable::new()
        .charge("GET /weather", Amount::from_sat(10))
        .free("GET /health")
        .otherwise_free();
    let app = Router::new()
        .fallback(cacheable)
        .layer(shop.paywall().routes(table).unwrap());
    for path in ["/health", "/elsewhere", "/broken"] {
        is_the_handlers_own(&ask(&app, of_a_member("GET", path)).await);
    }
}

#[tokio::test]
async fn free_answers_are_the_handlers_own_if_the_charge_says_that_they_are_public() {
    for charge in charges_with_free_answers() {
        let shop = Shop::new();
        let charge = charge.free_answers_are_public();
        let layer = shop.paywall().charge(charge).unwrap();
        let app = Router::new().route("/", on_get(cacheable).route_layer(layer));
        is_the_handlers_own(&ask(&app, of_a_member("GET", "/")).await);
    }
    // What came with a credential stays private, and what was paid too.
    let shop = Shop::new();
    let charge = Charge::from(Amount::from_sat(10)).free_answers_are_public();
    let free = Charge::from(price_fn(|_| async { Ok(None) })).free_answers_are_public();
    let route = |charge| on_get(cacheable).route_layer(shop.paywall().charge(charge).unwrap());
    let app = Router::new()
        .route("/free", route(free))
        .route("/", route(charge));
    is_private(&ask(&app, paid("/free", &"L402 AAAA:00".parse().unwrap())).await);
    let credential = shop.buy(&app, get("/")).await;
    is_private(&ask(&app, paid("/", &credential)).await);
}

#[tokio::test(start_paused = true)]
async fn no_answer_of_the_layers_own_may_be_stored() {
    let shop = Shop::new();
    let sat = Amount::from_sat(10);
    let paywall = shop
        .builder_of_every_dialect()
        .max_unpaid_per_client(1)
        .max_unpaid(3)
        .trusted_proxy("::1")
        .build()
        .unwrap();
    let table = RouteTable::new()
        .charge("GET /weather", sat)
        .charge("POST /render", sat)
        .charge(
            "GET /dear",
            Charge::new(price_fn(|_| async { Err("out of order".into()) })),
        )
        .otherwise_refuse();
    let inner =
        service_fn(|_| async { Ok::<_, std::convert::Infallible>(Response::new(Body::empty())) });
    let app = paywall.routes(table).unwrap().layer(inner);
    let with = |method: &str, target: &str, name: &'static str, value: &str| {
        let mut request = request(method, target, None);
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let stalled = request("POST", "/render", None)
        .map(|_| Body::from_stream(stream::pending::<Result<Bytes, io::Error>>()));
    let large = request("POST", "/render", None).map(|_| Body::from(vec![0; (2 << 20) + 1]));
    let mut seen = Vec::new();
    for (status, request) in [
        (402, get("/weather")),
        (402, with("GET", "/weather", "payment-signature", "e30=")),
        (400, with("GET", "/weather", "x-payment", "e30=")),
        (400, get("/weather;v=1")),
        (404, get("/nothing")),
        (405, request("DELETE", "/weather", None)),
        (204, request("OPTIONS", "/weather", None)),
        (408, stalled),
        (413, large),
        (421, with("GET", "/weather", "host", "evil.example")),
        (503, get("/dear")),
        (402, get("/weather")),
        (429, get("/weather")),
    ] {
        let answer = ask(&app, request).await;
        assert_eq!(answer.status().as_u16(), status, "{answer:?}");
        assert_eq!(answer.headers()["cache-control"], "no-store", "{status}");
        seen.push(status);
    }
    let bought = {
        shop.clock.advance(Duration::from_secs(400));
        let call = Call::new("GET", "/weather");
        shop.bought(&call, &ask(&app, call.request()).await)
    };
    let credential = Call::new("GET", "/weather").with(bought.of(DialectName::X402));
    assert_eq!(
        ask(&app, credential.request()).await.headers()["cache-control"],
        "private"
    );
    let spent = ask(&app, credential.request()).await;
    assert_eq!(
        (spent.status(), &spent.headers()["cache-control"]),
        (StatusCode::PAYMENT_REQUIRED, &"no-store".parse().unwrap())
    );
}
