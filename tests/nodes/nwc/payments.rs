use std::time::Duration;

use futures_util::FutureExt as _;
use tower_x402::{
    Amount,
    lightning::{NodeErrorKind, PayLimits, Payer as _, PaymentStatus},
};

use super::{Payments, Set, open, options::Fault};
use crate::{LIMITS, adapter::expect_own_network_only, invoice, pays, preimage};

#[tokio::test]
async fn the_fee_comes_back_and_is_looked_up() {
    let (set, receiver, payer) = Set::connected().await;
    let invoice = invoice(&receiver, 21, 60).await;
    for _ in 0..2 {
        let PaymentStatus::Paid { fee, .. } = payer.pay(&invoice, LIMITS).await.unwrap() else {
            panic!("not paid")
        };
        assert_eq!(fee, Amount::from_msat(7));
    }
    assert_eq!(set.payer.calls("pay_invoice").len(), 1);
    // Another process of ours has to ask the wallet.
    let again = open(&set.payer.url).await.unwrap();
    let found = again.lookup_payment(invoice.payment_hash()).await.unwrap();
    let PaymentStatus::Paid { fee, .. } = found else {
        panic!("{found:?}")
    };
    assert_eq!(fee, Amount::from_msat(7));
    pays(&again, &invoice).await;
    assert_eq!(set.payer.calls("pay_invoice").len(), 1);
    let foreign = receiver
        .lookup_payment(invoice.payment_hash())
        .await
        .unwrap();
    assert!(
        matches!(foreign, PaymentStatus::Unknown),
        "what arrived is no payment: {foreign:?}"
    );
}

#[tokio::test]
async fn a_wrong_answer_about_a_payment_may_have_paid() {
    for fault in [Fault::Garbage, Fault::OtherMethod, Fault::Undecryptable] {
        let (set, receiver, payer) = Set::connected().await;
        set.payer.fault("pay_invoice", fault);
        let invoice = invoice(&receiver, 21, 60).await;
        let error = payer.pay(&invoice, LIMITS).await.unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::BadAnswer, "{fault:?}: {error}");
        assert!(error.may_have_paid(), "{fault:?}");
        set.payer.fault("lookup_invoice", fault);
        let error = payer
            .lookup_payment(invoice.payment_hash())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::BadAnswer, "{fault:?}: {error}");
        assert!(error.may_have_paid(), "{fault:?}");
        let error = payer.pay(&invoice, LIMITS).await.unwrap_err();
        assert!(error.may_have_paid(), "{fault:?}");
        set.payer.honest();
        let found = payer.lookup_payment(invoice.payment_hash()).await.unwrap();
        preimage(&invoice, found);
        pays(&payer, &invoice).await;
        assert_eq!(set.payer.calls("pay_invoice").len(), 1);
    }
    let (set, receiver, payer) = Set::connected().await;
    let invoice = invoice(&receiver, 21, 60).await;
    set.payer.fault("lookup_invoice", Fault::OtherHash);
    set.ledger.payments(Payments::Fail);
    let error = payer.pay(&invoice, LIMITS).await.unwrap_err();
    assert!(error.may_have_paid(), "{error}");
}

#[tokio::test]
async fn a_payment_whose_answer_is_lost_is_found_and_made_once() {
    let (set, receiver, payer) = Set::connected().await;
    let invoice = invoice(&receiver, 21, 60).await;
    // The wallet's answer comes after the connection is gone.
    let unknown = payer.lookup_payment(invoice.payment_hash()).await.unwrap();
    assert!(matches!(unknown, PaymentStatus::Unknown));
    set.payer.fault("pay_invoice", Fault::Silent);
    let paying = payer.pay(&invoice, LIMITS);
    let lost = async {
        let mut settled = set.ledger.settled.subscribe();
        settled
            .wait_for(|settled| !settled.is_empty())
            .await
            .unwrap();
        set.relay.kill().await;
    };
    let (error, ()) = tokio::join!(paying, lost);
    let error = error.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Unreachable, "{error}");
    assert!(error.may_have_paid());
    set.relay.up().await;
    set.payer.honest();
    let found = payer.lookup_payment(invoice.payment_hash()).await.unwrap();
    preimage(&invoice, found);
    pays(&payer, &invoice).await;
    assert_eq!(set.payer.calls("pay_invoice").len(), 1);
}

#[tokio::test]
async fn a_payment_that_the_wallet_does_not_know_of_is_not_made_again() {
    let (set, receiver, payer) = Set::connected().await;
    let invoice = invoice(&receiver, 21, 60).await;
    set.payer.forget_payments(true);
    set.ledger.payments(Payments::StayInFlight);
    set.payer.fault("pay_invoice", Fault::Garbage);
    let error = payer.pay(&invoice, LIMITS).await.unwrap_err();
    assert!(error.may_have_paid());
    set.payer.honest();
    for _ in 0..2 {
        let status = payer.pay(&invoice, LIMITS).await.unwrap();
        assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
        let status = payer.lookup_payment(invoice.payment_hash()).await.unwrap();
        assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
    }
    assert_eq!(set.payer.calls("pay_invoice").len(), 1);
    set.payer.forget_payments(false);
    set.ledger.settle(invoice.payment_hash());
    pays(&payer, &invoice).await;
    assert_eq!(set.payer.calls("pay_invoice").len(), 1);
}

#[tokio::test]
async fn an_error_of_the_wallet_is_a_failure_a_refusal_or_unknown() {
    let (set, receiver, payer) = Set::connected().await;
    let invoice = invoice(&receiver, 21, 60).await;
    for code in [
        "INSUFFICIENT_BALANCE",
        "NOT_IMPLEMENTED",
        "QUOTA_EXCEEDED",
        "RATE_LIMITED",
        "RESTRICTED",
        "UNAUTHORIZED",
    ] {
        set.payer.fault("pay_invoice", Fault::Error(code));
        let error = payer.pay(&invoice, LIMITS).await.unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::Refused);
        assert!(
            !error.may_have_paid() && error.to_string().contains(code),
            "{error}"
        );
        let status = payer.lookup_payment(invoice.payment_hash()).await.unwrap();
        assert!(matches!(status, PaymentStatus::Unknown), "{status:?}");
    }
    set.payer.honest();
    set.ledger.payments(Payments::Fail);
    for _ in 0..2 {
        let status = payer.pay(&invoice, LIMITS).await.unwrap();
        assert!(matches!(status, PaymentStatus::Failed), "{status:?}");
        let status = payer.lookup_payment(invoice.payment_hash()).await.unwrap();
        assert!(matches!(status, PaymentStatus::Failed), "{status:?}");
    }
    set.ledger.payments(Payments::StayInFlight);
    let status = payer.pay(&invoice, LIMITS).await.unwrap();
    assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");

    let second = crate::invoice(&receiver, 21, 60).await;
    set.payer.fault("pay_invoice", Fault::Error("INTERNAL"));
    let error = payer.pay(&second, LIMITS).await.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Refused);
    assert!(error.may_have_paid());
    set.payer.honest();
    let status = payer.pay(&second, LIMITS).await.unwrap();
    assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_payment_under_way() {
    let (set, receiver, payer) = Set::connected().await;
    let (first, second) = (
        invoice(&receiver, 21, 60).await,
        invoice(&receiver, 21, 60).await,
    );
    set.payer.fault("pay_invoice", Fault::Silent);
    let brief = PayLimits::new(Amount::ZERO, Duration::ZERO);
    let status = payer.pay(&first, brief).await.unwrap();
    assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
    assert!(
        payer.pay(&second, LIMITS).now_or_never().is_none(),
        "it is dropped under way"
    );
    for invoice in [&first, &second] {
        let status = payer.pay(invoice, LIMITS).await.unwrap();
        assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
    }
    let mut settled = set.ledger.settled.subscribe();
    settled
        .wait_for(|settled| settled.len() == 2)
        .await
        .unwrap();
    for invoice in [&first, &second] {
        let found = payer.lookup_payment(invoice.payment_hash()).await.unwrap();
        preimage(invoice, found);
    }
    assert_eq!(set.payer.calls("pay_invoice").len(), 2);
}

#[tokio::test]
async fn what_a_connection_may_not_do_is_refused_unasked() {
    let (set, receiver, payer) = Set::connected().await;
    expect_own_network_only(&receiver).await;
    assert!(set.receiver.calls("pay_invoice").is_empty());
    let asked = super::request(
        1_000,
        tower_x402::lightning::Description::Text(String::new()),
    );
    let error = tower_x402::lightning::Receiver::create_invoice(&payer, asked)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("may use make_invoice"),
        "{error}"
    );
    assert!(set.payer.calls("make_invoice").is_empty());
}

#[tokio::test]
async fn an_old_failure_says_nothing_of_a_payment_whose_answer_is_lost() {
    let (set, receiver, payer) = Set::connected().await;
    let invoice = invoice(&receiver, 21, 60).await;
    set.ledger.payments(Payments::Fail);
    let status = payer.pay(&invoice, LIMITS).await.unwrap();
    assert!(matches!(status, PaymentStatus::Failed), "{status:?}");
    // The second attempt is lost, and the wallet still tells of the first one.
    set.payer.fault("pay_invoice", Fault::Garbage);
    let error = payer.pay(&invoice, LIMITS).await.unwrap_err();
    assert!(error.may_have_paid());
    set.payer.honest();
    for _ in 0..2 {
        let status = payer.lookup_payment(invoice.payment_hash()).await.unwrap();
        assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
        let status = payer.pay(&invoice, LIMITS).await.unwrap();
        assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
    }
    assert_eq!(set.payer.calls("pay_invoice").len(), 2);
    set.ledger.settle(invoice.payment_hash());
    pays(&payer, &invoice).await;
    assert_eq!(set.payer.calls("pay_invoice").len(), 2);
}
