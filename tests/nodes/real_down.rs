//! A server whose LND is killed and started again, while the server runs on.

use std::{env, process::Command, time::Duration};

use http::{HeaderMap, StatusCode};
use tokio::task::JoinSet;
use tower_x402::{
    Invoice, Preimage,
    lightning::{Payer, PaymentStatus, connect},
    server::{NotReady, PaywallBuilder},
};

use crate::{
    preimage,
    real_killed::{LIMITS, in_flight, nodes, urls, within},
    selling::{PRICE, Shop},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_real_lnd_that_is_killed_stops_sales_but_not_the_server_until_it_is_back() {
    let Some([payer, receiver]) = urls(["X402_NODE_LND_A", "X402_NODE_LND_B_INVOICE"]) else {
        return;
    };
    let payer = connect(&payer).await.unwrap().payer().unwrap();
    let receiver = connect(&receiver).await.unwrap().receiver().unwrap();
    let shop = Shop::with(receiver, |builder| builder.receive_only()).await;
    shop.paywall.ready().await.unwrap();
    let mut sold = Vec::new();
    for &dialect in &shop.dialects {
        let bought = shop.offer(dialect).await.pay(&payer, PRICE).await;
        sold.push((dialect, bought, shop.offer(dialect).await));
    }

    nodes(["kill", "lnd_b"]);
    shop.expect_closed(HeaderMap::new()).await;
    for (dialect, bought, _) in &sold {
        // What was bought before is served once, and a second use is refused.
        shop.redeem(*dialect, bought).await;
        shop.expect_closed(bought.clone()).await;
    }
    let reason = not_ready(&shop).await;
    assert!(!reason.is_node_ready() && reason.is_store_ready());
    assert!(reason.to_string().contains("cannot be reached"), "{reason}");

    nodes(["start", "lnd_b"]);
    shop.paywall.ready().await.unwrap();
    for (dialect, bought, offered) in sold {
        assert_eq!(
            shop.ask(bought).await.status(),
            StatusCode::PAYMENT_REQUIRED,
            "it is used up"
        );
        // An invoice from before is still paid, and so is a new one.
        for offer in [offered, shop.offer(dialect).await] {
            let paid = offer.pay(&payer, PRICE).await;
            shop.redeem(dialect, &paid).await;
        }
    }
    println!(
        "lnd: killed and started again: 503 without a challenge meanwhile, then sold as before"
    );
}

/// Waits until a server is not ready, and returns the reason. The last good answer of the node is
/// trusted for a second.
pub(crate) async fn not_ready(shop: &Shop) -> NotReady {
    within("the server to be not ready", async {
        loop {
            if let Err(reason) = shop.paywall.ready().await {
                break reason;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// A process that does nothing until this is dropped.
pub(crate) struct Stopped(String);

impl Stopped {
    pub(crate) fn new(variable: &str) -> Self {
        let pid = std::fs::read_to_string(env::var(variable).unwrap()).unwrap();
        let stopped = Self(pid.trim().to_owned());
        assert!(stopped.signal("-STOP"));
        stopped
    }

    fn signal(&self, signal: &str) -> bool {
        let mut kill = Command::new("kill");
        let output = kill.args([signal, &self.0]).output();
        output.unwrap().status.success()
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

/// Pays until the payment has succeeded. An invoice is never paid twice.
async fn outcome(payer: &impl Payer, invoice: &Invoice) -> Preimage {
    within("the outcome of a payment", async {
        loop {
            match payer.lookup_payment(invoice.payment_hash()).await.unwrap() {
                PaymentStatus::InFlight => tokio::time::sleep(Duration::from_millis(100)).await,
                status @ PaymentStatus::Paid { .. } => break preimage(invoice, status),
                _ => drop(payer.pay(invoice, LIMITS).await.unwrap()),
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_lnd_that_is_killed_while_it_is_being_paid_loses_no_payment() {
    let Some([payer, receiver]) = urls(["X402_NODE_LND_A", "X402_NODE_LND_B_INVOICE"]) else {
        return;
    };
    let payer = connect(&payer).await.unwrap().payer().unwrap();
    let receiver = connect(&receiver).await.unwrap().receiver().unwrap();
    let short = |builder: PaywallBuilder| builder.time_limit(Duration::from_secs(1));
    let shop = Shop::with(receiver, short).await;
    let mut offers = Vec::new();
    for &dialect in &shop.dialects {
        offers.push((dialect, shop.offer(dialect).await));
    }

    let stopped = Stopped::new("X402_NODE_LND_B_PID");
    let mut paying = JoinSet::new();
    for (_, offer) in &offers {
        let (payer, invoice) = (payer.clone(), offer.invoice().clone());
        paying.spawn(async move { payer.pay(&invoice, LIMITS).await });
    }
    for (_, offer) in &offers {
        in_flight(&payer, offer.invoice().payment_hash()).await;
    }
    // It is slow, and then it is gone.
    shop.expect_closed(HeaderMap::new()).await;
    nodes(["kill", "lnd_b"]);
    drop(stopped);
    shop.expect_closed(HeaderMap::new()).await;

    nodes(["start", "lnd_b"]);
    for (dialect, offer) in &offers {
        let preimage = outcome(&payer, offer.invoice()).await;
        let paid = HeaderMap::from_iter([offer.credential(&preimage)]);
        shop.redeem(*dialect, &paid).await;
        let again = shop.ask(paid).await;
        assert_eq!(again.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
    }
    while let Some(told) = within("the broken payments", paying.join_next()).await {
        match told.unwrap() {
            Ok(status) => assert!(
                !matches!(status, PaymentStatus::Unknown),
                "it was sent: {status:?}"
            ),
            Err(error) => assert!(error.may_have_paid(), "{error}"),
        }
    }
    println!("lnd: killed while three payments came in, and none was lost");
}
