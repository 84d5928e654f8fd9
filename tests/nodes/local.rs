use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use tower_x402::{
    Amount, Invoice, InvoiceDescription, Network, PaymentHash,
    clock::{Clock as _, SystemClock, TestClock},
    lightning::{
        BoxFuture, Description, InvoiceRequest, InvoiceStatus, KeyCustody, Lie, LocalNode,
        NodeError, NodeErrorKind, Payer, PaymentStatus, Payments, Receiver, ReceiverProfile,
        conformance,
    },
};

use crate::{LIMITS, invoice, pays, suites::caught};

#[tokio::test]
async fn a_local_node_does_what_every_node_must() {
    let node = LocalNode::new();
    conformance::receiver(&node).await;
    conformance::payer(&node, &node).await;
    let shared: std::sync::Arc<dyn Receiver> =
        std::sync::Arc::new(LocalNode::new().with_shared_key());
    conformance::receiver(&*shared).await;
    conformance::receiver(&shared).await;
}

#[tokio::test]
async fn each_lie_of_a_receiver_is_caught() {
    for (lie, sentence) in [
        (Lie::Amount, "exactly the requested amount"),
        (
            Lie::Description,
            "can sell over L402 and MPP only: .dialects([DialectName::L402, DialectName::Mpp])",
        ),
        (Lie::Expired, "must be dated now, and not 6"),
        (Lie::Expiry, "exactly the requested expiry"),
        (Lie::Network, "the network that the profile names"),
        (Lie::Payee, "the key that the profile names"),
        (
            Lie::PaymentHash,
            "a payment hash that was never used before",
        ),
    ] {
        let node = LocalNode::new();
        node.lie(lie);
        caught(conformance::receiver(&node), sentence).await;
    }
}

/// A node that changes what was requested for an invoice.
#[derive(Debug)]
struct Willful(LocalNode, Change);

type Change = fn(&mut InvoiceRequest);

impl Receiver for Willful {
    fn profile(&self) -> ReceiverProfile {
        Receiver::profile(&self.0)
    }

    fn create_invoice(
        &self,
        mut request: InvoiceRequest,
    ) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        (self.1)(&mut request);
        self.0.create_invoice(request)
    }

    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        self.0.lookup_invoice(payment_hash)
    }
}

#[tokio::test]
async fn a_receiver_that_changes_what_an_invoice_says_is_caught() {
    let expiry: Change = |request| request.expiry = request.expiry.min(Duration::from_secs(3_600));
    let texts: [Change; 5] = [
        |request| {
            if request.description == Description::Text(String::new()) {
                request.description = Description::Text("the wallet's own text".into());
            }
        },
        |request| {
            if let Description::Text(text) = &mut request.description {
                text.truncate(600);
            }
        },
        |request| {
            if let Description::Text(text) = &mut request.description {
                *text = text.trim_matches('x').to_owned();
            }
        },
        |request| {
            if let Description::Hashed(bytes) = &mut request.description {
                bytes.truncate(1_024);
            }
        },
        |request| {
            if request.description == Description::Hashed(Vec::new()) {
                request.description = Description::Text(String::new());
            }
        },
    ];
    caught(
        conformance::receiver(&Willful(LocalNode::new(), expiry)),
        "exactly the requested expiry",
    )
    .await;
    for change in texts {
        caught(
            conformance::receiver(&Willful(LocalNode::new(), change)),
            "can sell over L402 and MPP only",
        )
        .await;
    }
}

#[tokio::test]
async fn each_fault_of_a_payer_is_caught() {
    let node = LocalNode::new();
    node.lie(Lie::Preimage);
    caught(conformance::payer(&node, &node), "must return the preimage").await;
    let node = LocalNode::new();
    node.payments(Payments::Fail);
    caught(
        conformance::payer(&node, &node),
        "an open invoice must be paid, and is Failed",
    )
    .await;
    let node = LocalNode::new();
    node.payments(Payments::LoseAnswer);
    caught(
        conformance::payer(&node, &node),
        "an invoice must be paid: the local node cannot be reached: the answer was lost",
    )
    .await;
    let node = LocalNode::new();
    node.reachable(false);
    caught(
        conformance::payer(&node, &node),
        "an invoice of 21 sat with the hash of a description of 23 bytes must be made",
    )
    .await;
}

#[tokio::test]
async fn foreign_and_expired_invoices_are_not_paid() {
    let clock = TestClock::at(SystemClock::new().now());
    let node = LocalNode::new().with_clock(clock.clone());
    let stranger = invoice(&LocalNode::new(), 10, 60).await;
    assert!(matches!(
        node.pay(&stranger, LIMITS).await.unwrap(),
        PaymentStatus::Failed
    ));
    assert!(matches!(
        node.lookup_payment(stranger.payment_hash()).await.unwrap(),
        PaymentStatus::Unknown
    ));

    let own = invoice(&node, 10, 60).await;
    clock.advance(Duration::from_secs(59));
    assert_eq!(
        node.lookup_invoice(own.payment_hash()).await.unwrap(),
        InvoiceStatus::Open
    );
    clock.advance(Duration::from_secs(1));
    assert_eq!(
        node.lookup_invoice(own.payment_hash()).await.unwrap(),
        InvoiceStatus::Expired
    );
    assert!(matches!(
        node.pay(&own, LIMITS).await.unwrap(),
        PaymentStatus::Failed
    ));
    assert_eq!(
        node.lookup_invoice(own.payment_hash()).await.unwrap(),
        InvoiceStatus::Expired
    );

    node.lie(Lie::Network);
    let signet = invoice(&node, 10, 60).await;
    assert_eq!(signet.network(), Network::Signet);
    assert_eq!(
        node.pay(&signet, LIMITS).await.unwrap_err().kind(),
        NodeErrorKind::Refused
    );
}

#[tokio::test]
async fn a_settlement_is_final_and_reported_once() {
    let clock = TestClock::at(SystemClock::new().now());
    let node = LocalNode::new().with_clock(clock.clone());
    let mut settlements = node.settlements();
    let (by_call, by_payment) = (invoice(&node, 10, 60).await, invoice(&node, 20, 60).await);
    let preimage = node.settle(by_call.payment_hash()).unwrap();
    assert!(by_call.payment_hash().is_of(&preimage));
    node.settle(by_call.payment_hash()).unwrap();
    pays(&node, &by_payment).await;
    pays(&node, &by_payment).await;
    pays(&node, &by_call).await;
    assert_eq!(settlements.next().await, Some(by_call.payment_hash()));
    assert_eq!(settlements.next().await, Some(by_payment.payment_hash()));
    assert!(settlements.next().now_or_never().is_none());

    clock.advance(Duration::from_secs(31 * 86_400));
    for _ in 0..3_000 {
        invoice(&node, 1, 60).await;
    }
    assert_eq!(
        node.lookup_invoice(by_call.payment_hash()).await.unwrap(),
        InvoiceStatus::Settled
    );
    assert_eq!(node.invoices_created(), 3_002);
    assert_eq!(
        node.settle(PaymentHash::from_bytes([0; 32]))
            .unwrap_err()
            .kind(),
        NodeErrorKind::Refused
    );
}

#[tokio::test]
async fn unpaid_invoices_are_forgotten_an_hour_after_their_end() {
    let clock = TestClock::at(SystemClock::new().now());
    let node = LocalNode::new().with_clock(clock.clone());
    let unpaid = invoice(&node, 1, 60).await;
    clock.advance(Duration::from_secs(60 + 3_600));
    for _ in 0..1_024 {
        invoice(&node, 1, 60).await;
    }
    assert_eq!(
        node.lookup_invoice(unpaid.payment_hash()).await.unwrap(),
        InvoiceStatus::Unknown
    );
    assert!(node.preimage_of(unpaid.payment_hash()).is_none());
}

#[tokio::test]
async fn a_payment_stays_in_flight_until_the_test_ends_it() {
    let node = LocalNode::new();
    node.payments(Payments::StayInFlight);
    let (good, bad) = (invoice(&node, 10, 60).await, invoice(&node, 10, 60).await);
    for open in [&good, &bad] {
        assert!(matches!(
            node.pay(open, LIMITS).await.unwrap(),
            PaymentStatus::InFlight
        ));
        assert!(matches!(
            node.lookup_payment(open.payment_hash()).await.unwrap(),
            PaymentStatus::InFlight
        ));
        assert_eq!(
            node.lookup_invoice(open.payment_hash()).await.unwrap(),
            InvoiceStatus::Open
        );
    }
    node.payments(Payments::Succeed);
    assert!(matches!(
        node.pay(&good, LIMITS).await.unwrap(),
        PaymentStatus::InFlight
    ));
    node.settle(good.payment_hash()).unwrap();
    assert!(node.fail_payment(bad.payment_hash()));
    assert!(!node.fail_payment(good.payment_hash()));
    pays(&node, &good).await;
    assert!(matches!(
        node.lookup_payment(bad.payment_hash()).await.unwrap(),
        PaymentStatus::Failed
    ));
    pays(&node, &bad).await;
}

#[tokio::test]
async fn a_lost_answer_says_that_money_may_have_left() {
    let node = LocalNode::new();
    node.payments(Payments::LoseAnswer);
    let open = invoice(&node, 10, 60).await;
    let error = node.pay(&open, LIMITS).await.unwrap_err();
    assert!(error.may_have_paid());
    assert_eq!(
        node.lookup_invoice(open.payment_hash()).await.unwrap(),
        InvoiceStatus::Settled
    );
    pays(&node, &open).await;
}

#[tokio::test]
async fn a_paused_node_answers_when_it_is_resumed_and_ignores_dropped_calls() {
    let node = LocalNode::new();
    node.pause();
    let other = node.clone();
    let call = tokio::spawn(async move { invoice(&other, 10, 60).await });
    let gone = node.clone();
    let leaver = tokio::spawn(async move { invoice(&gone, 10, 60).await });
    node.paused_calls(2).await;
    leaver.abort();
    assert!(leaver.await.unwrap_err().is_cancelled());
    assert!(node.paused_calls(2).now_or_never().is_none());
    assert_eq!(node.invoices_created(), 0);
    node.resume();
    let made = call.await.unwrap();
    assert_eq!(node.invoices_created(), 1);
    pays(&node, &made).await;
}

#[tokio::test]
async fn a_shared_key_is_in_the_profile_and_the_preimage_of_an_unpaid_invoice_is_revealed() {
    let own = LocalNode::new();
    assert_eq!(Receiver::profile(&own).key_custody, KeyCustody::Exclusive);
    let hosted = own.clone().with_shared_key();
    assert_eq!(Receiver::profile(&hosted).key_custody, KeyCustody::Shared);
    let open = invoice(&hosted, 10, 60).await;
    let preimage = own.preimage_of(open.payment_hash()).unwrap();
    assert!(open.payment_hash().is_of(&preimage));
    assert_eq!(
        hosted.lookup_invoice(open.payment_hash()).await.unwrap(),
        InvoiceStatus::Open
    );
    assert!(!format!("{own:?} {own:#?}").contains(&preimage.expose_hex()));
}

#[tokio::test]
async fn each_lie_does_what_it_says_and_ends_when_reset() {
    let node = LocalNode::new();
    node.lie(Lie::PaymentHash);
    let (first, second) = (invoice(&node, 10, 60).await, invoice(&node, 20, 60).await);
    assert_eq!(first.payment_hash(), second.payment_hash());
    assert!(matches!(
        node.pay(&first, LIMITS).await.unwrap(),
        PaymentStatus::Failed
    ));
    pays(&node, &second).await;
    node.lie(Lie::Amount);
    assert_eq!(
        invoice(&node, 10, 60).await.amount(),
        Some(Amount::from_msat(10_001))
    );
    node.lie(Lie::Description);
    assert!(matches!(
        invoice(&node, 10, 60).await.description(),
        InvoiceDescription::Text(_)
    ));
    node.lie(None);
    pays(&node, &invoice(&node, 10, 60).await).await;
}
