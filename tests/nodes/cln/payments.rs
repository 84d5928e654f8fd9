use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::json;
use tower_x402::{
    Amount,
    lightning::{NodeErrorKind, PayLimits, Payer as _, PaymentStatus, Payments, conformance},
};

use super::{connected, fault::Fault};
use crate::{LIMITS, adapter::expect_own_network_only, invoice, pays, preimage};

#[tokio::test]
async fn limits_go_to_the_node_and_the_fee_comes_back() {
    let (server, node) = connected().await;
    let invoice = invoice(&node, 21, 60).await;
    let limits = PayLimits::new(Amount::from_msat(1_234), Duration::from_secs(17));
    let PaymentStatus::Paid { fee, .. } = node.pay(&invoice, limits).await.unwrap() else {
        panic!("not paid")
    };
    assert_eq!(fee, Amount::from_msat(7));
    let call = json!({ "invstring": invoice.as_str(), "maxfee": 1_234, "retry_for": 17 });
    assert_eq!(server.calls("xpay"), [call]);
    let found = node.lookup_payment(invoice.payment_hash()).await.unwrap();
    let PaymentStatus::Paid { fee, .. } = found else {
        panic!("not paid")
    };
    assert_eq!(fee, Amount::from_msat(7));
}

#[tokio::test]
async fn a_time_limit_is_rounded_up_to_seconds_that_the_node_takes() {
    let (server, node) = connected().await;
    for (paid, time, seconds) in [
        (1, Duration::from_millis(1), 1),
        (2, Duration::from_millis(1_001), 2),
        (3, Duration::MAX, 4_294_967_295_u32),
    ] {
        let invoice = invoice(&node, 21, 60).await;
        let limits = PayLimits::new(LIMITS.max_fee, time);
        let _ = node.pay(&invoice, limits).await.unwrap();
        server.settled(paid).await;
        assert_eq!(server.calls("xpay").last().unwrap()["retry_for"], seconds);
    }
}

#[tokio::test]
async fn core_lightning_keeps_to_a_fee_limit() {
    let (_server, node) = connected().await;
    conformance::fee_limit(&node, &node).await;
}

#[tokio::test]
async fn a_wrong_answer_about_a_payment_may_have_paid() {
    for fault in [
        Fault::Garbage,
        Fault::OtherCall,
        Fault::Neither,
        Fault::Endless,
    ] {
        let (server, node) = connected().await;
        server.fault("xpay", fault);
        let invoice = invoice(&node, 21, 60).await;
        let error = node.pay(&invoice, LIMITS).await.unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::BadAnswer, "{fault:?}: {error}");
        assert!(error.may_have_paid(), "{fault:?}");
        let found = node.lookup_payment(invoice.payment_hash()).await.unwrap();
        preimage(&invoice, found);

        server.fault("listpays", fault);
        let error = node
            .lookup_payment(invoice.payment_hash())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::BadAnswer, "{fault:?}: {error}");
        assert!(error.may_have_paid(), "{fault:?}");
    }
    let (server, node) = connected().await;
    let invoice = invoice(&node, 21, 60).await;
    pays(&node, &invoice).await;
    server.fault("listpays", Fault::OtherHash);
    let error = node
        .lookup_payment(invoice.payment_hash())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::BadAnswer);
}

#[tokio::test]
async fn a_payment_whose_answer_is_lost_is_found_and_made_once() {
    for fault in [Fault::Closes, Fault::Half] {
        let (server, node) = connected().await;
        server.fault("xpay", fault);
        let invoice = invoice(&node, 21, 60).await;
        let error = node.pay(&invoice, LIMITS).await.unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::Unreachable);
        assert!(error.may_have_paid());
        server.restart(128).await;
        server.honest();
        let found = node.lookup_payment(invoice.payment_hash()).await.unwrap();
        let first = preimage(&invoice, found);
        // Another process of ours: it knows of no payment.
        let again = super::Cln::builder(&server.socket).connect().await.unwrap();
        assert_eq!(first.expose(), pays(&again, &invoice).await.expose());
        assert_eq!(server.calls("xpay").len(), 1);
    }
}

#[tokio::test]
async fn a_node_killed_in_mid_payment_may_have_paid() {
    let (server, node) = connected().await;
    let invoice = invoice(&node, 21, 60).await;
    server.fault("xpay", Fault::Closes);
    server.node.payments(Payments::StayInFlight);
    let error = node.pay(&invoice, LIMITS).await.unwrap_err();
    assert!(error.may_have_paid());
    server.kill().await;
    let error = node
        .lookup_payment(invoice.payment_hash())
        .await
        .unwrap_err();
    assert!(error.may_have_paid());
    let error = node.pay(&invoice, LIMITS).await.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Unreachable);
    server.restart(128).await;
    for _ in 0..2 {
        let status = node.pay(&invoice, LIMITS).await.unwrap();
        assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
    }
    assert_eq!(server.calls("xpay").len(), 1);
    server.node.settle(invoice.payment_hash()).unwrap();
    pays(&node, &invoice).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_payment_under_way() {
    let (server, node) = connected().await;
    let (first, second) = (invoice(&node, 21, 60).await, invoice(&node, 21, 60).await);
    server.node.pause();
    let brief = PayLimits::new(LIMITS.max_fee, Duration::ZERO);
    let status = node.pay(&first, brief).await.unwrap();
    assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
    assert!(
        node.pay(&second, LIMITS).now_or_never().is_none(),
        "it is dropped under way"
    );
    server.node.paused_calls(2).await;
    for invoice in [&first, &second] {
        let status = node.pay(invoice, LIMITS).await.unwrap();
        assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
    }
    let looked_up = async {
        let found = node.lookup_payment(first.payment_hash()).await.unwrap();
        assert!(matches!(found, PaymentStatus::InFlight), "{found:?}");
    };
    let resumed = async {
        server.node.paused_calls(3).await;
        server.node.resume();
    };
    tokio::join!(looked_up, resumed);
    server.settled(2).await;
    for invoice in [&first, &second] {
        while !matches!(
            node.pay(invoice, LIMITS).await.unwrap(),
            PaymentStatus::Paid { .. }
        ) {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(server.calls("xpay").len(), 2);
}

#[tokio::test]
async fn an_error_of_the_node_is_a_failure_a_refusal_or_unknown() {
    let (server, node) = connected().await;
    let invoice = invoice(&node, 21, 60).await;
    for code in [203, 205, 206, 207, 209, 210] {
        server.fault("xpay", Fault::Error(code));
        let status = node.pay(&invoice, LIMITS).await.unwrap();
        assert!(
            matches!(status, PaymentStatus::Failed),
            "{code}: {status:?}"
        );
    }
    let in_doubt = [-1, -4, 200, 201, 202, 204, 208, 211, 218, 219];
    for (code, may_have_paid) in [(-32601, false), (-32602, false)]
        .into_iter()
        .chain(in_doubt.map(|code| (code, true)))
    {
        server.fault("xpay", Fault::Error(code));
        let error = node.pay(&invoice, LIMITS).await.unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::Refused);
        assert_eq!(error.may_have_paid(), may_have_paid, "{code}");
    }
    // What the list says counts more than the error.
    server
        .pays(json!([{ "payment_hash": invoice.payment_hash().to_string(), "status": "pending" }]));
    server.fault("xpay", Fault::Error(205));
    let status = node.pay(&invoice, LIMITS).await.unwrap();
    assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
}

#[tokio::test]
async fn a_payment_that_failed_is_no_longer_under_way_when_the_node_has_tidied_up() {
    let (server, node) = connected().await;
    server.node.payments(Payments::Fail);
    let invoice = invoice(&node, 21, 60).await;
    server.tidies(2);
    let status = node.pay(&invoice, LIMITS).await.unwrap();
    assert!(matches!(status, PaymentStatus::Failed), "{status:?}");
    let status = node.lookup_payment(invoice.payment_hash()).await.unwrap();
    assert!(matches!(status, PaymentStatus::Failed), "{status:?}");
}

#[tokio::test]
async fn of_several_attempts_a_success_counts_most_and_a_failure_least() {
    let (server, node) = connected().await;
    let invoice = invoice(&node, 21, 60).await;
    let (hash, secret) = (
        invoice.payment_hash(),
        server.node.preimage_of(invoice.payment_hash()),
    );
    let secret = secret.unwrap().expose_hex();
    let of = |status: &str| json!({ "payment_hash": hash.to_string(), "status": status });
    let mut complete = of("complete");
    complete["preimage"] = json!(secret);
    complete["amount_msat"] = json!(21_000);
    complete["amount_sent_msat"] = json!(21_003);
    let (failed, pending) = (of("failed"), of("pending"));
    for (pays, expected) in [
        (json!([]), "Unknown"),
        (json!([failed]), "Failed"),
        (json!([failed, failed]), "Failed"),
        (json!([failed, pending]), "InFlight"),
        (json!([pending, failed]), "InFlight"),
        (json!([complete, failed]), "Paid"),
        (json!([pending, failed, complete, pending]), "Paid"),
    ] {
        server.pays(pays.clone());
        let status = format!("{:?}", node.lookup_payment(hash).await.unwrap());
        assert!(status.starts_with(expected), "{pays}: {status}");
    }
    server.pays(json!([of("resolved")]));
    let error = node.lookup_payment(hash).await.unwrap_err();
    assert!(error.may_have_paid(), "{error}");
}

#[tokio::test]
async fn invoices_of_other_networks_are_not_paid() {
    let (server, node) = connected().await;
    expect_own_network_only(&node).await;
    assert!(server.calls("xpay").is_empty());
}
