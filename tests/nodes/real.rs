//! The suites against real nodes, whose URLs are in the environment: `scripts/nodes test` sets them.

use std::env;

use futures_util::StreamExt as _;
use tower_x402::{
    Network,
    lightning::{KeyCustody, Node, Receiver as _, conformance, connect},
};

use crate::{invoice, pays};

/// The node whose URL is in a variable. Without it, a test says so and does nothing, unless
/// `X402_REQUIRE_NODES=1`.
async fn node(variable: &str) -> Option<Node> {
    let Ok(url) = env::var(variable) else {
        assert!(
            env::var("X402_REQUIRE_NODES").as_deref() != Ok("1"),
            "{variable} is not set: run scripts/nodes test"
        );
        println!("skipped: {variable} is not set, run scripts/nodes test");
        return None;
    };
    Some(
        connect(&url)
            .await
            .unwrap_or_else(|error| panic!("{variable}: {error}")),
    )
}

#[tokio::test]
async fn a_real_lnd_does_what_every_node_must() {
    let (Some(payer), Some(receiver)) =
        (node("X402_NODE_LND_A").await, node("X402_NODE_LND_B").await)
    else {
        return;
    };
    let (payer, receiver) = (payer.payer().unwrap(), receiver.receiver().unwrap());
    assert_eq!(receiver.profile().can_spend, Some(true));
    conformance::receiver(&*receiver).await;
    conformance::payer(&*receiver, &*payer).await;
}

#[tokio::test]
async fn a_real_lnd_receives_with_an_invoice_macaroon() {
    let (Some(payer), Some(node)) = (
        node("X402_NODE_LND_A").await,
        node("X402_NODE_LND_B_INVOICE").await,
    ) else {
        return;
    };
    let receiver = node.receiver().unwrap();
    let profile = receiver.profile();
    assert_eq!(
        (profile.can_spend, profile.network),
        (Some(false), Network::Regtest)
    );
    assert!(node.payer().is_err());
    conformance::receiver(&*receiver).await;
    let mut settlements = receiver.settlements();
    let made = invoice(&receiver, 21, 300).await;
    pays(&payer.payer().unwrap(), &made).await;
    while settlements.next().await != Some(made.payment_hash()) {}
}

#[tokio::test]
async fn a_real_lnbits_does_what_every_node_must() {
    let (Some(payer), Some(receiver)) = (
        node("X402_NODE_LNBITS_A").await,
        node("X402_NODE_LNBITS_B").await,
    ) else {
        return;
    };
    let (payer, receiver) = (payer.payer().unwrap(), receiver.receiver().unwrap());
    assert_eq!(receiver.profile().can_spend, Some(true));
    assert_eq!(receiver.profile().key_custody, KeyCustody::Shared);
    conformance::receiver(&*receiver).await;
    conformance::payer(&*receiver, &*payer).await;
}

#[tokio::test]
async fn a_real_lnbits_receives_with_an_invoice_key() {
    let (Some(payer), Some(node)) = (
        node("X402_NODE_LNBITS_A").await,
        node("X402_NODE_LNBITS_B_INVOICE").await,
    ) else {
        return;
    };
    let receiver = node.receiver().unwrap();
    assert_eq!(receiver.profile().can_spend, Some(false));
    assert!(node.payer().is_err());
    let mut settlements = receiver.settlements();
    let made = invoice(&receiver, 21, 300).await;
    pays(&payer.payer().unwrap(), &made).await;
    while settlements.next().await != Some(made.payment_hash()) {}
}
