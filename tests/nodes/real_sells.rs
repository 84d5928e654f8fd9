//! Whole purchases over HTTP, whose payments a real node receives from another.

use tower_x402::lightning::Receiver as _;

use crate::{electrum::Electrum, real::node, selling::sells_and_serves_once};

#[tokio::test]
async fn a_real_lnd_sells_over_http_in_every_dialect_and_serves_once() {
    let (Some(payer), Some(receiver)) = (
        node("X402_NODE_LND_A").await,
        node("X402_NODE_LND_B_INVOICE").await,
    ) else {
        return;
    };
    let receiver = receiver.receiver().unwrap();
    assert!(receiver.profile().public_key.is_some(), "x402 is sold");
    sells_and_serves_once(receiver, payer.payer().unwrap()).await;
    println!("lnd: paid over HTTP in three dialects and served once each");
}

#[tokio::test]
async fn a_real_lnbits_sells_over_http_in_every_dialect_and_serves_once() {
    let (Some(payer), Some(receiver)) = (
        node("X402_NODE_LNBITS_A").await,
        node("X402_NODE_LNBITS_B_INVOICE").await,
    ) else {
        return;
    };
    let receiver = receiver.receiver().unwrap();
    assert!(receiver.profile().public_key.is_some(), "x402 is sold");
    sells_and_serves_once(receiver, payer.payer().unwrap()).await;
    println!("lnbits: paid over HTTP in three dialects and served once each");
}

#[tokio::test]
async fn electrum_pays_a_real_lnd_over_http_in_every_dialect() {
    let (Some(receiver), Ok(url)) = (
        node("X402_NODE_LND_B_INVOICE").await,
        std::env::var("X402_NODE_ELECTRUM"),
    ) else {
        return; // `node` has printed why, and fails if real nodes are required
    };
    let receiver = receiver.receiver().unwrap();
    sells_and_serves_once(receiver, Electrum::of(&url)).await;
    println!("lnd: paid by Electrum in three dialects");
}
