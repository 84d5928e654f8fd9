//! The suites against real nodes, whose URLs are in the environment: `scripts/nodes test` sets them.

use std::{
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, future::join_all, stream};
use tower_x402::{
    Amount, Network,
    lightning::{
        KeyCustody, Node, PayLimits, Payer, PaymentStatus, Receiver, conformance, connect,
    },
};

use crate::{asks, invoice, pays};

const LIMITS: PayLimits = PayLimits::new(Amount::from_sat(10), Duration::from_secs(30));

/// How long a real node may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The URL in a variable. Without it, a test says so and does nothing, unless
/// `X402_REQUIRE_NODES=1`.
pub(crate) fn url(variable: &str) -> Option<String> {
    let url = env::var(variable).ok();
    if url.is_none() {
        assert!(
            env::var("X402_REQUIRE_NODES").as_deref() != Ok("1"),
            "{variable} is not set: run scripts/nodes test"
        );
        println!("skipped: {variable} is not set, run scripts/nodes test");
    }
    url
}

/// The node whose URL is in a variable.
pub(crate) async fn node(variable: &str) -> Option<Node> {
    let connected = connect(&url(variable)?).await;
    Some(connected.unwrap_or_else(|error| panic!("{variable}: {error}")))
}

/// Two nodes: one that pays, and one that receives.
pub(crate) async fn pair(payer: &str, receiver: &str) -> Option<(Arc<dyn Payer>, Node)> {
    let (payer, receiver) = (node(payer).await, node(receiver).await);
    Some((payer?.payer().unwrap(), receiver?))
}

/// Pays an invoice, whose settlement must be reported.
async fn expect_settlement(payer: &impl Payer, receiver: &impl Receiver) {
    let mut settlements = receiver.settlements();
    let made = invoice(receiver, 21, 300).await;
    pays(payer, &made).await;
    let reported = async { while settlements.next().await != Some(made.payment_hash()) {} };
    tokio::time::timeout(PATIENCE, reported)
        .await
        .expect("a settlement");
}

#[tokio::test]
async fn a_real_lnd_does_what_every_node_must() {
    let Some((payer, node)) = pair("X402_NODE_LND_A", "X402_NODE_LND_B").await else {
        return;
    };
    let receiver = node.receiver().unwrap();
    assert_eq!(receiver.profile().can_spend, Some(true));
    conformance::receiver(&*receiver).await;
    conformance::payer(&*receiver, &*payer).await;
}

#[tokio::test]
async fn a_real_lnd_receives_with_an_invoice_macaroon() {
    let Some((payer, node)) = pair("X402_NODE_LND_A", "X402_NODE_LND_B_INVOICE").await else {
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
    expect_settlement(&payer, &receiver).await;
}

#[tokio::test]
async fn a_real_lnbits_does_what_every_node_must() {
    let Some((payer, node)) = pair("X402_NODE_LNBITS_A", "X402_NODE_LNBITS_B").await else {
        return;
    };
    let receiver = node.receiver().unwrap();
    assert_eq!(receiver.profile().can_spend, Some(true));
    assert_eq!(receiver.profile().key_custody, KeyCustody::Shared);
    conformance::receiver(&*receiver).await;
    conformance::payer(&*receiver, &*payer).await;
}

#[tokio::test]
async fn a_real_lnbits_receives_with_an_invoice_key() {
    let Some((payer, node)) = pair("X402_NODE_LNBITS_A", "X402_NODE_LNBITS_B_INVOICE").await else {
        return;
    };
    let receiver = node.receiver().unwrap();
    assert_eq!(receiver.profile().can_spend, Some(false));
    assert!(node.payer().is_err());
    expect_settlement(&payer, &receiver).await;
}

/// Prints how fast a node is, in a line that `scripts/nodes test` repeats.
async fn measure(kind: &str, payer: &str, receiver: &str) {
    let Some((payer, node)) = pair(payer, receiver).await else {
        return;
    };
    let receiver = node.receiver().unwrap();
    let mut times = Vec::new();
    let mut made = Vec::new();
    for _ in 0..64 {
        let start = Instant::now();
        made.push(asks(&receiver).await.unwrap());
        times.push(start.elapsed());
    }
    times.sort();
    let start = Instant::now();
    let at_once = join_all((0..64).map(|_| asks(&receiver))).await;
    assert!(at_once.iter().all(Result::is_ok));
    let at_once = start.elapsed();
    let start = Instant::now();
    let paid = stream::iter(&made)
        .map(|invoice| payer.pay(invoice, LIMITS))
        .buffer_unordered(8);
    let paid: Vec<_> = paid.collect().await;
    let paid = paid
        .into_iter()
        .filter(|paid| matches!(paid, Ok(PaymentStatus::Paid { .. })));
    assert_eq!(paid.count(), made.len());
    println!(
        "{kind}: an invoice in {:.1} ms, 64 at once in {:.0} ms, {:.0} payments a second",
        times[32].as_secs_f64() * 1e3,
        at_once.as_secs_f64() * 1e3,
        made.len() as f64 / start.elapsed().as_secs_f64()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_lnd_is_measured() {
    measure("lnd", "X402_NODE_LND_A", "X402_NODE_LND_B_INVOICE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_lnbits_is_measured() {
    measure("lnbits", "X402_NODE_LNBITS_A", "X402_NODE_LNBITS_B_INVOICE").await;
}
