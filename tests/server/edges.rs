//! Unusual requests and settings.

use std::{convert::Infallible, time::Duration};

use axum::{Router, body::Body, extract::Request, routing::get as on_get};
use http::{Response, StatusCode, Uri};
use tower::{Layer as _, service_fn};
use tower_x402::{
    Amount, Charge, DialectName, RouteTable, body::RequestBody, price_fn, server::PriceRequest,
};

use crate::shop::{Shop, ask, get, paid, reason, request};

async fn served(_: http::Request<RequestBody<Body>>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from("served")))
}

#[tokio::test]
async fn a_path_that_looks_like_a_pattern_panics_nowhere() {
    let shop = Shop::new();
    let price = price_fn(|_: PriceRequest| async move { Ok(Some(Amount::from_sat(1))) });
    let app = shop
        .paywall()
        .charge(price)
        .unwrap()
        .layer(service_fn(served));
    let path: String = (0..30).map(|i| format!("/%7Ba{i}%7D")).collect();
    assert_eq!(
        ask(&app, get(&path)).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    let path: String = (0..30).map(|i| format!("/{{a{i}}}")).collect();
    assert_eq!(
        ask(&app, get(&path)).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
}

#[tokio::test]
async fn control_bytes_and_broken_utf_8_are_400_under_a_charge_too() {
    let shop = Shop::new();
    let app = shop
        .paywall()
        .charge(Amount::from_sat(1))
        .unwrap()
        .layer(service_fn(served));
    for path in ["/a%00", "/a%0d%0ab", "/%ff", "/%2500"] {
        assert_eq!(
            ask(&app, get(path)).await.status(),
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
    assert_eq!(shop.node.invoices_created(), 0);
}

/// Between an outer router and the table a layer chooses the path by a header that nothing binds.
#[tokio::test]
async fn a_table_behind_a_layer_that_rewrites_paths_sells_nothing() {
    let shop = Shop::new();
    let table = RouteTable::new()
        .charge("GET /cheap", Amount::from_sat(1))
        .charge("GET /dear", Amount::from_sat(1_000))
        .otherwise_free();
    let inner = Router::new()
        .route("/cheap", on_get(|| async { "cheap" }))
        .route("/dear", on_get(|| async { "dear" }));
    let priced = shop.paywall().routes(table).unwrap().layer(inner);
    let rewritten = tower::util::MapRequest::new(priced, |mut request: Request| {
        let path = if request.headers().contains_key("dear") {
            "/dear"
        } else {
            "/cheap"
        };
        *request.uri_mut() = Uri::from_static(path);
        request
    });
    let app = Router::new().route_service("/shop", rewritten);
    assert_eq!(
        ask(&app, get("/shop")).await.status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
    assert_eq!(shop.node.invoices_created(), 0);
}

#[tokio::test]
async fn a_request_that_names_two_of_our_origins_is_421() {
    let shop = Shop::new();
    let paywall = shop
        .builder()
        .origin("https://other.example.com")
        .build()
        .unwrap();
    let app = paywall
        .charge(Amount::from_sat(1))
        .unwrap()
        .layer(service_fn(served));
    let named = |host: &str| {
        let mut request = get("https://api.example.com/a");
        request.headers_mut().insert("host", host.parse().unwrap());
        request
    };
    assert_eq!(
        ask(&app, named("other.example.com")).await.status(),
        StatusCode::MISDIRECTED_REQUEST
    );
    assert_eq!(
        ask(&app, named("api.example.com")).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
}

#[tokio::test]
async fn settlements_accept_any_capacity() {
    let shop = Shop::new();
    let paywall = shop.paywall();
    let mut settlements = [0, 1, usize::MAX].map(|capacity| paywall.settlements(capacity));
    let app = paywall
        .charge(Amount::from_sat(1))
        .unwrap()
        .layer(service_fn(served));
    let credential = shop.buy(&app, get("/a")).await;
    assert_eq!(
        ask(&app, paid("/a", &credential)).await.status(),
        StatusCode::OK
    );
    for settlement in &mut settlements {
        assert_eq!(
            settlement.next().await.unwrap().amount(),
            Some(Amount::from_sat(1))
        );
    }
}

#[test]
fn settings_that_could_never_sell_are_refused_when_they_are_built() {
    let shop = Shop::new();
    let told =
        |builder: tower_x402::server::PaywallBuilder| builder.build().unwrap_err().to_string();
    assert!(told(shop.builder().max_unpaid_per_client(0)).contains("must be at least 1"));
    assert!(told(shop.builder().max_unpaid(0)).contains("must be at least 1"));
    assert!(
        told(shop.builder().invoice_expiry(Duration::MAX)).contains("between a second and a year")
    );
    assert!(told(shop.builder().l402_service("a:b,c")).contains("not an L402 service name"));
    for builder in [shop.builder(), shop.builder().allow_volatile_replay_store()] {
        assert!(
            told(builder.accept_foreign_proofs())
                .contains("needs a durable store, shared by all servers of this receiver key")
        );
    }
    let shared = Shop {
        node: shop.node.clone().with_shared_key(),
        ..Shop::new()
    };
    assert!(told(shared.builder().accept_foreign_proofs()).contains("a key that only you hold"));
}

#[test]
fn authorization_can_be_bound_if_it_carries_no_credential() {
    let shop = Shop::new();
    let bound = || Charge::new(Amount::from_sat(1)).bind_headers(["Authorization"]);
    let with =
        |dialects: &[DialectName]| shop.builder().dialects(dialects.to_vec()).build().unwrap();
    assert!(with(&[DialectName::X402]).charge(bound()).is_ok());
    assert!(
        with(&[DialectName::X402, DialectName::Mpp])
            .charge(bound().authorization_taken())
            .is_ok()
    );
    for dialects in [
        &[DialectName::L402][..],
        &[DialectName::Mpp],
        &[DialectName::X402, DialectName::Mpp],
    ] {
        assert!(
            with(dialects)
                .charge(bound())
                .unwrap_err()
                .to_string()
                .contains("can neither be bound"),
            "{dialects:?}"
        );
    }
}

/// Half of the pool is for the unpaid, so that they never stand in the way of those who paid.
#[tokio::test(start_paused = true)]
async fn bodies_held_by_unpaid_requests_leave_room_for_paid_ones() {
    let shop = Shop::new();
    let priced =
        |q: PriceRequest| async move { Ok(Some(Amount::from_sat(1 + q.body().len() as u32))) };
    let paywall = shop
        .builder()
        .body_limit(1 << 10)
        .body_pool(2 << 10)
        .build()
        .unwrap();
    let app = paywall
        .charge(Charge::new(price_fn(priced)).reads_body())
        .unwrap()
        .layer(service_fn(served));
    let with_body = |body: Body, credential| {
        let mut request = request("POST", "/a", credential);
        *request.body_mut() = body;
        request
    };
    let credential = shop.pay(&ask(&app, with_body(Body::from("x"), None)).await);
    let hanging = || {
        let first = futures_util::stream::once(async {
            Ok::<_, Infallible>(bytes::Bytes::from(vec![0; 1 << 10]))
        });
        Body::from_stream(futures_util::StreamExt::chain(
            first,
            futures_util::stream::pending(),
        ))
    };
    let held = tokio::spawn({
        let (app, request) = (app.clone(), with_body(hanging(), None));
        async move { ask(&app, request).await.status() }
    });
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    assert_eq!(
        ask(&app, with_body(hanging(), None)).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(
        ask(&app, with_body(Body::from("x"), Some(&credential)))
            .await
            .status(),
        StatusCode::OK
    );
    assert_eq!(held.await.unwrap(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(
        reason(&ask(&app, with_body(Body::from("x"), Some(&credential))).await),
        "spent"
    );
}

#[tokio::test]
async fn a_price_function_that_reads_what_was_not_declared_sells_nothing() {
    let shop = Shop::new();
    let paywall = shop.paywall();
    let header = price_fn(|q: PriceRequest| async move {
        Ok(Some(Amount::from_sat(if q.header("x-high").is_some() {
            1_000
        } else {
            1
        })))
    });
    let capture = price_fn(|q: PriceRequest| async move {
        Ok(Some(Amount::from_sat(
            q.capture("nothing").map_or(1, |_| 2),
        )))
    });
    let body =
        price_fn(
            |q: PriceRequest| async move { Ok(Some(Amount::from_sat(1 + q.body().len() as u32))) },
        );
    for price in [header, capture, body] {
        let app = paywall.charge(price).unwrap().layer(service_fn(served));
        let answer = ask(&app, get("/a")).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(!answer.headers().contains_key("www-authenticate"));
    }
    assert_eq!(shop.node.invoices_created(), 0);
}

#[tokio::test]
async fn two_layers_that_price_one_request_are_a_mistake_that_is_logged() {
    let shop = Shop::new();
    let layer = || shop.paywall().charge(Amount::from_sat(1)).unwrap();
    let inner = tower::util::MapRequest::new(
        layer().layer(service_fn(served)),
        |request: http::Request<RequestBody<Body>>| request.map(|_| Body::empty()),
    );
    let app = layer().layer(inner);
    let credential = shop.buy(&app, get("/a")).await;
    let answer = ask(&app, paid("/a", &credential)).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(shop.node.invoices_created(), 1);
}
