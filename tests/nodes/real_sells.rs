//! Whole purchases over HTTP, whose payments a real node receives from another.

use tower_x402::lightning::Receiver as _;

use crate::{
    electrum::Electrum,
    real::{node, pair, url},
    selling::sells_and_serves_once,
};

/// Sells from the second node to the first.
async fn sells(kind: &str, payer: &str, receiver: &str) {
    let Some((payer, node)) = pair(payer, receiver).await else {
        return;
    };
    let receiver = node.receiver().unwrap();
    assert!(receiver.profile().public_key.is_some(), "x402 is sold");
    sells_and_serves_once(receiver, payer).await;
    println!("{kind}: paid over HTTP in three dialects and served once each");
}

#[tokio::test]
async fn a_real_lnd_sells_over_http_in_every_dialect_and_serves_once() {
    sells("lnd", "X402_NODE_LND_A", "X402_NODE_LND_B_INVOICE").await;
}

#[tokio::test]
async fn a_real_lnbits_sells_over_http_in_every_dialect_and_serves_once() {
    sells("lnbits", "X402_NODE_LNBITS_A", "X402_NODE_LNBITS_B_INVOICE").await;
}

#[tokio::test]
async fn electrum_pays_a_real_lnd_over_http_in_every_dialect() {
    let (Some(receiver), Some(url)) = (
        node("X402_NODE_LND_B_INVOICE").await,
        url("X402_NODE_ELECTRUM"),
    ) else {
        return;
    };
    let receiver = receiver.receiver().unwrap();
    sells_and_serves_once(receiver, Electrum::of(&url)).await;
    println!("lnd: paid by Electrum in three dialects");
}
