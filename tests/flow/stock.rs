//! Servers that other projects released sell to the paying client.
//! `scripts/interop_servers` installs them, and prints the lines that these tests print.

use http::StatusCode;
use tower_x402::{DialectName, mpp, x402};

use crate::{purchase::ask, started::Started};

/// Buys from a server of the official SDK, and presents the proof a second time.
async fn sells_over_x402(name: &str, variable: &str) {
    let Some(server) = Started::by(variable).await else {
        return;
    };
    let buyer = server.buyer(DialectName::X402).await;
    let bought = server.sells_to(&buyer).await;
    let settled = x402::Receipt::in_headers(bought.answer.headers()).unwrap();
    assert!(settled.is_success());
    assert_eq!(settled.transaction(), bought.payment_hash().to_string());

    let again = ask(&server.client, &server.origin, bought.proof.clone()).await;
    assert_eq!(again.status(), StatusCode::PAYMENT_REQUIRED, "{again:?}");
    let refused = x402::Receipt::in_headers(again.headers()).unwrap();
    assert_eq!(refused.error_reason(), Some("duplicate_settlement"));

    server.sells_to(&buyer).await;
    println!("{name}: over x402: 402, 25 sat paid, 200 with a settlement, then 402");
}

#[tokio::test]
async fn an_express_server_of_x402_is_paid_and_serves_once() {
    sells_over_x402("express", "X402_SERVER_EXPRESS").await;
}

#[tokio::test]
async fn a_fastapi_server_of_x402_is_paid_and_serves_once() {
    sells_over_x402("fastapi", "X402_SERVER_FASTAPI").await;
}

/// Buys from a server with mppx, which takes the proof in this header. Presents it a second time.
async fn sells_over_mpp(name: &str, variable: &str, header: &str) {
    let Some(server) = Started::by(variable).await else {
        return;
    };
    let buyer = server.buyer(DialectName::Mpp).await;
    let bought = server.sells_to(&buyer).await;
    assert!(bought.proof.contains_key(header));
    let receipt = mpp::Receipt::in_headers(bought.answer.headers()).unwrap();
    assert_eq!(receipt.method, "lightning");
    assert_eq!(receipt.reference, bought.payment_hash().to_string());

    let again = ask(&server.client, &server.origin, bought.proof.clone()).await;
    assert_eq!(again.status(), StatusCode::PAYMENT_REQUIRED, "{again:?}");
    let text = String::from_utf8_lossy(again.body());
    assert!(text.contains("already used"), "{text}");

    server.sells_to(&buyer).await;
    println!("{name}: over mpp in {header}: 402, 25 sat paid, 200 with a receipt, then 402");
}

#[tokio::test]
async fn an_mppx_server_is_paid_and_serves_once() {
    sells_over_mpp("mppx", "X402_SERVER_MPPX", "authorization").await;
}

#[tokio::test]
async fn an_mppx_server_that_keeps_authorization_for_others_is_paid_beside_it() {
    let variable = "X402_SERVER_MPPX_BESIDE_AUTHORIZATION";
    sells_over_mpp("mppx-beside", variable, "payment-authorization").await;
}

#[tokio::test]
async fn a_toll_booth_is_paid_and_serves_once() {
    let Some(server) = Started::by("X402_SERVER_TOLL_BOOTH").await else {
        return;
    };
    let buyer = server.buyer(DialectName::L402).await;
    let bought = server.sells_to(&buyer).await;
    assert_eq!(bought.answer.headers()["x-credit-balance"], "0");

    let again = ask(&server.client, &server.origin, bought.proof.clone()).await;
    assert_eq!(again.status(), StatusCode::PAYMENT_REQUIRED, "{again:?}");
    // The client presents its token, is refused, drops it and pays.
    server.sells_to(&buyer).await;
    println!(
        "toll-booth: over l402: 402, 25 sat paid, 200, then 402 to the token, 25 sat paid, 200"
    );
}
