//! A server whose LND fails, or is slow to answer, while many ask.

use std::time::Duration;

use axum::{Router, body::Body, routing::get};
use futures_util::FutureExt as _;
use http::{HeaderMap, Request, StatusCode};
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tower_x402::{Amount, MemoryStore, Paywall, Secrets, l402, lightning::Receiver};

use crate::{
    fake::Fault,
    lnd::node,
    selling::{PRICE, Shop},
};

const REQUESTS: usize = 64;

fn shop(receiver: impl Receiver) -> Router {
    let paywall = Paywall::builder(receiver)
        .origin("http://127.0.0.1:3000")
        .master_secret(Secrets::test_secret(7))
        .replay_store(MemoryStore::new().unwrap())
        .allow_test_network()
        .max_unpaid_per_client(10_000)
        .time_limit(Duration::from_secs(300))
        .build()
        .unwrap();
    let layer = paywall.charge(Amount::from_sat(25)).unwrap();
    Router::new().route("/a", get(async || "paid").route_layer(layer))
}

/// Sends requests without credentials. Each gives its status, and the invoice that it was asked to
/// pay.
fn ask(shop: &Router) -> JoinSet<(StatusCode, Option<String>)> {
    let asked = |shop: Router| async move {
        let request = Request::get("http://127.0.0.1:3000/a");
        let answer = shop.oneshot(request.body(Body::empty()).unwrap()).await;
        let answer = answer.unwrap();
        let challenge = l402::Challenge::in_headers(answer.headers());
        let invoice = challenge.first().map(|first| first.invoice().to_owned());
        (answer.status(), invoice)
    };
    (0..REQUESTS).map(|_| asked(shop.clone())).collect()
}

#[tokio::test]
async fn lnd_is_asked_for_64_invoices_at_once() {
    let (_fake, server, node) = node().await;
    server.fault("/v1/invoices", Fault::Silent);
    let mut asked = ask(&shop(node));
    tokio::select! {
        answer = asked.join_next() => panic!("LND has answered nothing: {answer:?}"),
        () = server.waiting(REQUESTS) => {}
    }
}

#[tokio::test]
async fn a_slow_answer_of_lnd_delays_only_the_request_that_needs_it() {
    let (_fake, server, node) = node().await;
    let release = server.hold_next("/v1/invoices");
    let mut asked = ask(&shop(node));
    let mut invoices = Vec::new();
    for _ in 1..REQUESTS {
        let (status, invoice) = asked.join_next().await.unwrap().unwrap();
        assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
        invoices.push(invoice.unwrap());
    }
    server.waiting(1).await;
    assert!(asked.join_next().now_or_never().is_none(), "it is held");
    release.send(()).unwrap();
    let (status, invoice) = asked.join_next().await.unwrap().unwrap();
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
    invoices.push(invoice.unwrap());
    invoices.sort();
    invoices.dedup();
    assert_eq!(invoices.len(), REQUESTS, "each has its own invoice");
}

#[tokio::test]
async fn while_lnd_fails_nothing_is_sold_or_free_and_then_it_goes_on() {
    let (fake, server, node) = node().await;
    let shop = Shop::open(node.clone()).await;
    fake.fails("wallet locked, unlock it to enable full RPC access");
    let reason = shop.paywall.ready().await.unwrap_err();
    assert!(!reason.is_node_ready() && reason.is_store_ready());
    assert!(reason.to_string().contains("lncli unlock"), "{reason}");
    shop.expect_closed(HeaderMap::new()).await;
    fake.fails(None);
    shop.paywall.ready().await.unwrap();
    for fault in [
        Fault::Status(502),
        Fault::Garbage,
        Fault::Half,
        Fault::Lost,
        Fault::Long,
    ] {
        for &dialect in &shop.dialects {
            let bought = shop.offer(dialect).await.pay(&node, PRICE).await;
            server.fault("/v", fault);
            shop.expect_closed(HeaderMap::new()).await;
            // What was bought before is served once.
            shop.redeem(dialect, &bought).await;
            shop.expect_closed(bought).await;
            server.no_fault();
        }
    }
}
