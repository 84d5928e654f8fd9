//! Payments of the adapter for LND, and what may be lost of them.

use tower_x402::{
    Invoice,
    lightning::{NodeErrorKind, Payer as _, PaymentStatus, Receiver as _, connect},
};

use crate::{
    fake::{
        Fault,
        ledger::{Ledger, Lie, Pays, What},
    },
    invoice,
    lnd::{ALL, LIMITS, node, url},
    preimage,
};

#[tokio::test]
async fn a_payment_that_fails_or_stays_in_flight_is_told_so() {
    let (fake, _server, node) = node().await;
    let made = invoice(&node, 21, 300).await;
    fake.ledger.pays(Pays::Fail);
    assert!(matches!(
        node.pay(&made, LIMITS).await.unwrap(),
        PaymentStatus::Failed
    ));
    assert!(matches!(
        node.lookup_payment(made.payment_hash()).await.unwrap(),
        PaymentStatus::Failed
    ));
    // LND may pay it after that.
    fake.ledger.pays(Pays::Succeed);
    preimage(&made, node.pay(&made, LIMITS).await.unwrap());

    let made = invoice(&node, 21, 300).await;
    fake.ledger.pays(Pays::StayInFlight);
    tokio::time::pause();
    for _ in 0..2 {
        assert!(matches!(
            node.pay(&made, LIMITS).await.unwrap(),
            PaymentStatus::InFlight
        ));
        assert!(matches!(
            node.lookup_payment(made.payment_hash()).await.unwrap(),
            PaymentStatus::InFlight
        ));
    }
}

#[tokio::test]
async fn a_payment_is_sent_once_whatever_happens_to_its_answer() {
    for fault in [Fault::Lost, Fault::Half, Fault::Garbage, Fault::Status(502)] {
        let (fake, server, node) = node().await;
        let made = invoice(&node, 21, 300).await;
        server.fault("/v2/router", fault);
        let error = node.pay(&made, LIMITS).await.unwrap_err();
        assert!(error.may_have_paid(), "{fault:?}: {error}");
        let sent = server
            .seen()
            .iter()
            .filter(|call| *call == "POST /v2/router/send")
            .count();
        assert_eq!(sent, 1, "{fault:?}");

        // After a restart of this process, another client finds the outcome, and does not pay again.
        server.no_fault();
        let again = connect(&url(&server, &ALL)).await.unwrap().payer().unwrap();
        if matches!(fault, Fault::Lost | Fault::Half) {
            preimage(
                &made,
                again.lookup_payment(made.payment_hash()).await.unwrap(),
            );
        }
        preimage(&made, again.pay(&made, LIMITS).await.unwrap());
        assert_eq!(fake.ledger.payments(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_only_for_the_payment_is_found_by_a_lookup() {
    let (fake, server, node) = node().await;
    let made = invoice(&node, 21, 300).await;
    server.fault("/v2/router/send", Fault::Lost);
    preimage(&made, node.pay(&made, LIMITS).await.unwrap());
    assert_eq!(fake.ledger.payments(), 1);
}

#[tokio::test]
async fn an_old_failure_says_nothing_of_a_payment_whose_answer_is_lost() {
    let (fake, server, node) = node().await;
    let made = invoice(&node, 21, 300).await;
    fake.ledger.pays(Pays::Fail);
    let status = node.pay(&made, LIMITS).await.unwrap();
    assert!(matches!(status, PaymentStatus::Failed));
    // The second attempt may still arrive.
    server.fault("/v2/router/send", Fault::Status(502));
    assert!(node.pay(&made, LIMITS).await.unwrap_err().may_have_paid());
}

#[tokio::test]
async fn a_payment_that_lnd_refused_or_never_got_is_an_error_without_doubt() {
    let (fake, server, node) = node().await;
    let made = invoice(&node, 21, 300).await;
    let unknown = Ledger::default().make(21_000, What::Text(String::new()), 300);
    let unknown = Invoice::parse(&unknown).unwrap();
    let error = node.pay(&unknown, LIMITS).await.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Refused);
    assert!(!error.may_have_paid(), "{error}");
    fake.fails("permission denied");
    let error = node.pay(&made, LIMITS).await.unwrap_err();
    // Even the lookup is refused, so nothing is sure.
    assert!(error.may_have_paid());
    assert!(error.to_string().contains("offchain:write"), "{error}");
    drop((fake, server));
    // Until then an old connection may take the payment.
    node.lookup_invoice(crate::unheard_of()).await.unwrap_err();
    let error = node.pay(&made, LIMITS).await.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Unreachable);
    assert!(!error.may_have_paid());
}

#[tokio::test]
async fn a_wrong_network_is_refused_before_anything_is_sent() {
    let (fake, server, node) = node().await;
    fake.ledger.lie(Lie::Network);
    let made = fake.ledger.make(21_000, What::Text(String::new()), 300);
    let made = Invoice::parse(&made).unwrap();
    let before = server.seen().len();
    let error = node.pay(&made, LIMITS).await.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Refused);
    assert!(
        !error.may_have_paid() && error.to_string().contains("regtest"),
        "{error}"
    );
    assert_eq!(server.seen().len(), before);
}
