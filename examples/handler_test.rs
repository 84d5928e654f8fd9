//! How to test a handler that takes a receipt: alone, in its router, and behind its paywall. This
//! needs no node and no network.
//!
//! The three functions are tests. In your project, put `#[tokio::test]` above each, and add
//! `tower-x402` with the feature `conformance` to `[dev-dependencies]`.
//!
//! `cargo run --example handler_test`

use axum::{Router, body::Body, routing::get};
use http::{Request, StatusCode, header::AUTHORIZATION};
use tower::ServiceExt as _;
use tower_x402::{
    Amount, Invoice, MemoryStore, Paid, PaymentReceipt, Paywall, l402, lightning::LocalNode,
};

mod secret_file;

async fn weather(Paid(receipt): Paid) -> String {
    format!("sunny; you paid {}", receipt.payment())
}

/// Calls the handler like any function, with a receipt made for tests.
async fn the_handler_tells_what_was_paid() {
    let receipt = PaymentReceipt::for_tests(Amount::from_sat(10));
    assert_eq!(weather(Paid(receipt)).await, "sunny; you paid 10 sat");
}

/// Puts a receipt into the request's extensions, as the layer does.
async fn the_router_finds_the_receipt() {
    let app = Router::new().route("/weather", get(weather));
    let request =
        Request::get("/weather").extension(PaymentReceipt::for_tests(Amount::from_sat(10)));
    let answer = app
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

/// Makes a whole purchase, with a node for tests that settles invoices by itself.
async fn one_payment_buys_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let secret = secret_file::create(folder.path(), "master-secret").unwrap();
    let node = LocalNode::new();
    let paywall = Paywall::builder(node.clone())
        .origin("https://api.example.com")
        .master_secret(std::fs::read(secret).unwrap())
        .replay_store(MemoryStore::new().unwrap())
        .build()
        .unwrap();
    let layer = paywall.charge(Amount::from_sat(10)).unwrap();
    let app = Router::new().route("/weather", get(weather).route_layer(layer));

    let unpaid = app
        .clone()
        .oneshot(Request::get("/weather").body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(unpaid.status(), StatusCode::PAYMENT_REQUIRED);
    let challenge = l402::Challenge::in_headers(unpaid.headers()).remove(0);
    let preimage = node
        .settle(Invoice::parse(challenge.invoice()).unwrap().payment_hash())
        .unwrap();
    for expected in [StatusCode::OK, StatusCode::PAYMENT_REQUIRED] {
        let paid = Request::get("/weather").header(AUTHORIZATION, challenge.answer(&preimage));
        let answer = app
            .clone()
            .oneshot(paid.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(answer.status(), expected);
    }
}

#[tokio::main]
async fn main() {
    the_handler_tells_what_was_paid().await;
    the_router_finds_the_receipt().await;
    one_payment_buys_one_request().await;
    println!("all three pass");
}
