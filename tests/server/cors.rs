//! A page of another origin that pays: the browser's preflight, and the headers that the page may
//! read.

use axum::{Router, routing::get as on_get};
use http::{Method, Request, StatusCode};
use tower_http::cors::CorsLayer;
use tower_x402::{
    Amount, DialectName,
    server::cors::{exposed_headers, request_headers},
};

use crate::{
    customer::{ALL, Call},
    shop::{Shop, ask},
};

const PAGE: &str = "https://page.example";

fn service(shop: &Shop) -> Router {
    let layer = shop
        .paywall_of_every_dialect()
        .charge(Amount::from_sat(10))
        .unwrap();
    let cors = CorsLayer::new()
        .allow_origin([PAGE.parse().unwrap()])
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(request_headers())
        .expose_headers(exposed_headers());
    Router::new()
        .route("/weather", on_get(async || "sunny").route_layer(layer))
        .layer(cors)
}

/// The names in a header that lists some, in lower case.
fn names(answer: &http::Response<bytes::Bytes>, header: &str) -> Vec<String> {
    let lines = answer
        .headers()
        .get_all(header)
        .iter()
        .map(|line| line.to_str().unwrap().to_ascii_lowercase());
    lines
        .flat_map(|line| {
            line.split(',')
                .map(|name| name.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn a_preflight_for_every_stock_clients_headers_passes_and_costs_no_invoice() {
    let shop = Shop::new();
    let app = service(&shop);
    for asked in [
        "payment-signature,access-control-expose-headers",
        "authorization",
        "payment-authorization,accept-payment",
        "content-type,authorization",
    ] {
        let preflight = Request::options("/weather")
            .header("origin", PAGE)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", asked);
        let answer = ask(&app, preflight.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["access-control-allow-origin"], PAGE);
        let allowed = names(&answer, "access-control-allow-headers");
        assert!(
            asked
                .split(',')
                .all(|name| allowed.iter().any(|allowed| allowed == name)),
            "{asked}: {allowed:?}"
        );
    }
    assert_eq!(shop.node.invoices_created(), 0);
}

#[tokio::test]
async fn a_page_of_another_origin_can_read_every_header_of_a_purchase() {
    let shop = Shop::new();
    let app = service(&shop);
    let call = Call::new("GET", "/weather").header("origin", PAGE);
    let mut read = Vec::new();
    for dialect in ALL {
        let unpaid = ask(&app, call.request()).await;
        let bought = shop.bought(&call, &unpaid);
        let served = ask(&app, call.with(bought.of(dialect)).request()).await;
        assert_eq!(served.status(), StatusCode::OK);
        for answer in [&unpaid, &served] {
            let exposed = names(answer, "access-control-expose-headers");
            let ours = [
                "www-authenticate",
                "payment-required",
                "payment-response",
                "payment-receipt",
            ];
            for name in ours
                .into_iter()
                .filter(|name| answer.headers().contains_key(*name))
            {
                assert!(
                    exposed.iter().any(|exposed| exposed == name),
                    "{name} is there and cannot be read"
                );
                read.push((dialect, name));
            }
        }
    }
    assert!(
        read.contains(&(DialectName::X402, "payment-response"))
            && read.contains(&(DialectName::Mpp, "payment-receipt"))
    );
    assert!(
        read.contains(&(DialectName::L402, "payment-required"))
            && read.contains(&(DialectName::L402, "www-authenticate"))
    );
}
