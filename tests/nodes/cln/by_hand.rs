//! The adapter against real nodes, which `by_hand.sh` starts: no automatic run has them. Some of these tests kill a node, so they
//! run one after the other.

use std::{env, process::Command, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};
use tower_x402::{
    Amount, Invoice, InvoiceDescription, PaymentHash,
    clock::{Clock as _, SystemClock},
    lightning::{
        Description, InvoiceRequest, InvoiceStatus, NodeErrorKind, PayLimits, Payer, PaymentStatus,
        Receiver, conformance, connect,
    },
};

use crate::{
    asks, invoice,
    measured::measured,
    preimage,
    real::expect_settlement,
    real_killed::{held, rest, settle},
    selling::{PRICE, Shop, sells_and_serves_once},
};

const LIMITS: PayLimits = PayLimits::new(Amount::from_sat(10), Duration::from_secs(30));

/// How long a real node may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The URL in a variable. Without it, a test says so and does nothing.
fn url(variable: &str) -> Option<String> {
    let url = env::var(variable).ok();
    if url.is_none() {
        println!("skipped: {variable} is not set, run tests/nodes/cln/by_hand.sh");
    }
    url
}

/// A payer and a receiver, with a channel between them.
async fn pair() -> Option<(Arc<dyn Payer>, Arc<dyn Receiver>)> {
    Some((payer().await?, receiver().await?))
}

async fn payer() -> Option<Arc<dyn Payer>> {
    Some(connect(&url("X402_CLN_A")?).await.unwrap().payer().unwrap())
}

async fn receiver() -> Option<Arc<dyn Receiver>> {
    let node = connect(&url("X402_CLN_B")?).await.unwrap();
    Some(node.receiver().unwrap())
}

/// Kills or starts a node.
fn nodes(words: [&str; 2]) {
    let script = env::var("X402_CLN_SCRIPT").expect("the path of by_hand.sh");
    let status = Command::new(script).args(words).status().unwrap();
    assert!(status.success(), "{words:?}");
}

/// Waits until the payee of a held invoice has the money, and the payer says that it is under way.
async fn under_way(payee: &str, payer: &dyn Payer, hash: PaymentHash) {
    let arrived = || rest(payee, &format!("/v1/invoice/{hash}"), "").contains("\"ACCEPTED\"");
    let waiting = async {
        while !arrived()
            || !matches!(
                payer.lookup_payment(hash).await.unwrap(),
                PaymentStatus::InFlight
            )
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("a payment under way");
}

/// Waits until a payment has an outcome.
async fn outcome(payer: &dyn Payer, hash: PaymentHash) -> PaymentStatus {
    let waiting = async {
        loop {
            match payer.lookup_payment(hash).await {
                Ok(PaymentStatus::InFlight) | Err(_) => tokio::task::yield_now().await,
                Ok(status) => return status,
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("an outcome")
}

#[tokio::test]
async fn core_lightning_does_what_every_node_must() {
    let Some((payer, receiver)) = pair().await else {
        return;
    };
    conformance::receiver(&*receiver).await;
    conformance::payer(&*receiver, &*payer).await;
    expect_settlement(&payer, &receiver).await;
}

#[tokio::test]
async fn core_lightning_sells_over_http_in_every_dialect_and_serves_once() {
    let Some((payer, receiver)) = pair().await else {
        return;
    };
    sells_and_serves_once(receiver, payer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn core_lightning_is_measured() {
    let Some((payer, receiver)) = pair().await else {
        return;
    };
    measured("core lightning", &receiver, &payer).await;
}

#[tokio::test]
async fn descriptions_are_exact() {
    let Some(receiver) = receiver().await else {
        return;
    };
    for text in [
        "",
        "a\tb\r\nc",
        "\"\\u0041\" \\",
        "\u{e9}\u{1f600}\u{7f}\u{2028}",
        &"\u{e9}".repeat(319),
    ] {
        for hashed in [false, true] {
            let what = if hashed {
                Description::Hashed(text.as_bytes().to_vec())
            } else {
                Description::Text(text.to_owned())
            };
            let request = InvoiceRequest::new(Amount::from_msat(1), what, PATIENCE);
            let made = receiver.create_invoice(request).await.unwrap();
            let said = made.description();
            let exact = match said {
                InvoiceDescription::Text(said) => !hashed && said == text,
                InvoiceDescription::Hash(hash) => hashed && hash[..] == Sha256::digest(text)[..],
                _ => false,
            };
            assert!(exact, "{text:?}: {said:?}");
        }
    }
}

#[tokio::test]
async fn more_than_its_channels_can_receive_is_refused() {
    let Some(receiver) = receiver().await else {
        return;
    };
    let what = Description::Text("a test".to_owned());
    let request = InvoiceRequest::new(Amount::from_sat(50_000_000), what, PATIENCE);
    let error = receiver.create_invoice(request).await.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Refused);
    assert!(error.to_string().contains("inbound liquidity"), "{error}");
}

#[tokio::test]
async fn a_payment_that_cannot_be_made_has_failed_for_both_calls() {
    let (Some(payer), Some(through), Ok(payee)) = (
        payer().await,
        url("X402_CLN_B"),
        env::var("X402_NODE_LND_B"),
    ) else {
        return;
    };
    let further = connect(&through).await.unwrap();
    let further_payer = further.payer().unwrap();
    let lnd = connect(&payee).await.unwrap().receiver().unwrap();

    // An invoice that its payee does not hold any more.
    let (cancelled, _) = held(&payee, 3);
    let hash = cancelled.payment_hash();
    let base64 = base64_simd::STANDARD.encode_to_string(hash.as_bytes());
    let body = format!(r#"{{"payment_hash": "{base64}"}}"#);
    rest(&payee, "/v2/invoices/cancel", &body);
    for _ in 0..2 {
        let status = payer.pay(&cancelled, LIMITS).await.unwrap();
        assert!(matches!(status, PaymentStatus::Failed), "{status:?}");
        let status = payer.lookup_payment(hash).await.unwrap();
        assert!(matches!(status, PaymentStatus::Failed), "{status:?}");
    }

    // An expired invoice.
    let what = Description::Text("a test".to_owned());
    let request = InvoiceRequest::new(Amount::from_sat(1), what, Duration::from_secs(1));
    let expired = lnd.create_invoice(request).await.unwrap();
    while SystemClock::new().now() <= expired.expires_at() {
        tokio::task::yield_now().await;
    }
    let status = payer.pay(&expired, LIMITS).await.unwrap();
    assert!(matches!(status, PaymentStatus::Failed), "{status:?}");

    // The channel between takes a fee.
    let far = asks(&lnd).await.unwrap();
    let no_fee = PayLimits::new(Amount::ZERO, LIMITS.time);
    let status = further_payer.pay(&far, no_fee).await.unwrap();
    assert!(matches!(status, PaymentStatus::Failed), "{status:?}");
    let PaymentStatus::Paid { fee, .. } = further_payer.pay(&far, LIMITS).await.unwrap() else {
        panic!("not paid")
    };
    assert!(fee > Amount::ZERO && fee <= LIMITS.max_fee, "{fee}");
    let PaymentStatus::Paid { fee: found, .. } = further_payer
        .lookup_payment(far.payment_hash())
        .await
        .unwrap()
    else {
        panic!("not paid")
    };
    assert_eq!(found, fee);
}

/// A process of ours that ends, with all of its connections.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_goes_on_without_the_process_that_began_it() {
    let (Some(payer), Ok(payee)) = (payer().await, env::var("X402_NODE_LND_B")) else {
        return;
    };
    let (invoice, secret) = held(&payee, 5);
    let process = tokio::runtime::Runtime::new().unwrap();
    let (begun, paid) = (url("X402_CLN_A").unwrap(), invoice.clone());
    process.spawn(async move {
        let payer = connect(&begun).await.unwrap().payer().unwrap();
        payer.pay(&paid, LIMITS).await
    });
    under_way(&payee, &*payer, invoice.payment_hash()).await;
    process.shutdown_background();
    let status = payer.pay(&invoice, LIMITS).await.unwrap();
    assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
    settle(&payee, &secret);
    preimage(&invoice, outcome(&*payer, invoice.payment_hash()).await);
    preimage(&invoice, payer.pay(&invoice, LIMITS).await.unwrap());
}

/// Two processes of ours: neither knows what the other does.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_pay_one_invoice_pay_it_once() {
    let (Some(first), Some(second), Ok(payee)) =
        (payer().await, payer().await, env::var("X402_NODE_LND_B"))
    else {
        return;
    };
    let (invoice, secret) = held(&payee, 7);
    let paying: Vec<_> = [first.clone(), second.clone()]
        .map(|payer| {
            let invoice = invoice.clone();
            tokio::spawn(async move { payer.pay(&invoice, LIMITS).await })
        })
        .into();
    under_way(&payee, &*first, invoice.payment_hash()).await;
    let third = payer().await.unwrap();
    let status = third.pay(&invoice, LIMITS).await.unwrap();
    assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
    settle(&payee, &secret);
    for paying in paying {
        match paying.await.unwrap() {
            Ok(PaymentStatus::InFlight) => {}
            Ok(status) => drop(preimage(&invoice, status)),
            Err(error) => assert!(error.may_have_paid(), "{error}"),
        }
    }
    for payer in [first, second, third] {
        preimage(&invoice, outcome(&*payer, invoice.payment_hash()).await);
    }
    let found = rest(
        &payee,
        &format!("/v1/invoice/{}", invoice.payment_hash()),
        "",
    );
    assert!(found.contains("\"amt_paid_msat\":\"21001\""), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_in_mid_payment_tells_the_outcome_after_its_restart() {
    let (Some(payer), Ok(payee)) = (payer().await, env::var("X402_NODE_LND_B")) else {
        return;
    };
    let (invoice, secret) = held(&payee, 1);
    let hash = invoice.payment_hash();
    let paying = tokio::spawn({
        let (payer, invoice) = (payer.clone(), invoice.clone());
        async move { payer.pay(&invoice, LIMITS).await }
    });
    under_way(&payee, &*payer, hash).await;
    nodes(["kill", "cln_a"]);
    // Neither paid nor failed.
    match paying.await.unwrap() {
        Ok(status) => assert!(matches!(status, PaymentStatus::InFlight), "{status:?}"),
        Err(error) => assert!(error.may_have_paid(), "{error}"),
    }
    let error = payer.lookup_payment(hash).await.unwrap_err();
    assert!(error.may_have_paid(), "{error}");
    nodes(["start", "cln_a"]);
    for _ in 0..2 {
        let status = payer.pay(&invoice, LIMITS).await.unwrap();
        assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
    }
    settle(&payee, &secret);
    preimage(&invoice, outcome(&*payer, hash).await);
    preimage(&invoice, payer.pay(&invoice, LIMITS).await.unwrap());
}

/// Pays, and waits until the payee has it.
async fn settles(payer: &dyn Payer, receiver: &dyn Receiver, invoice: &Invoice) {
    preimage(invoice, payer.pay(invoice, LIMITS).await.unwrap());
    let status = receiver.lookup_invoice(invoice.payment_hash()).await;
    assert_eq!(status.unwrap(), InvoiceStatus::Settled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_killed_stops_sales_until_it_is_back_and_no_settlement_is_missed() {
    let Some((payer, receiver)) = pair().await else {
        return;
    };
    let shop = Shop::open(receiver.clone()).await;
    shop.paywall.ready().await.unwrap();
    let mut settlements = receiver.settlements();
    let before = invoice(&receiver, 10, 600).await;
    settles(&*payer, &*receiver, &before).await;
    while settlements.next().await != Some(before.payment_hash()) {}
    let mut sold = Vec::new();
    for &dialect in &shop.dialects {
        let bought = shop.offer(dialect).await.pay(&payer, PRICE).await;
        sold.push((dialect, bought, shop.offer(dialect).await));
    }
    nodes(["kill", "cln_b"]);
    shop.expect_closed(HeaderMap::new()).await;
    assert!(asks(&receiver).await.is_err());
    for (dialect, bought, _) in &sold {
        shop.redeem(*dialect, bought).await;
        shop.expect_closed(bought.clone()).await;
    }
    nodes(["start", "cln_b"]);
    let ready = async {
        while shop.paywall.ready().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("ready");
    for (dialect, _, offered) in sold {
        for offer in [offered, shop.offer(dialect).await] {
            let paid = offer.pay(&payer, PRICE).await;
            shop.redeem(dialect, &paid).await;
        }
    }
    let after = invoice(&receiver, 10, 600).await;
    settles(&*payer, &*receiver, &after).await;
    let mut missed = 0;
    let reported = async {
        while settlements.next().await != Some(after.payment_hash()) {
            missed += 1;
        }
    };
    tokio::time::timeout(PATIENCE, reported)
        .await
        .expect("a settlement");
    assert_eq!(missed, 3 * shop.dialects.len(), "each once, in order");
}
