//! The adapter for LNbits, against a server of ours that speaks its protocol and answers wrongly if told to.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::StreamExt as _;
use tower_x402::{
    Amount, Invoice, Network,
    lightning::{
        ConnectErrorKind, Description, InvoiceRequest, InvoiceStatus, KeyCustody, Lnbits,
        NodeErrorKind, PayLimits, Payer, PaymentStatus, Receiver, Secret, conformance, connect,
    },
};

use crate::{
    adapter::{expect_no_connection, expect_no_false_answer},
    fake::{
        Fault, Server,
        faults::Faulty,
        ledger::{Ledger, Pays, What},
        lnbits::{ADMIN, FakeLnbits, INVOICE, PAYER},
    },
    invoice,
    journal::Journal,
    preimage,
    selling::sells_and_serves_once,
};

const LIMITS: PayLimits = PayLimits::new(Amount::from_sat(10), Duration::from_secs(5));

fn url(server: &Server, key: &str) -> String {
    format!("lnbits+http://{}?key={key}", server.address())
}

async fn wallet(server: &Server, key: &str) -> Lnbits {
    let builder = Lnbits::builder(server.address().to_string()).key(Secret::new(key));
    builder.without_tls().connect().await.unwrap()
}

async fn wallets() -> (Arc<FakeLnbits>, Server, Lnbits, Lnbits) {
    let (fake, server) = FakeLnbits::start().await;
    let (receiver, payer) = (wallet(&server, INVOICE).await, wallet(&server, PAYER).await);
    (fake, server, receiver, payer)
}

#[tokio::test]
async fn lnbits_does_what_every_node_must() {
    let (_fake, _server, receiver, payer) = wallets().await;
    conformance::receiver(&receiver).await;
    conformance::payer(&receiver, &payer).await;
}

#[tokio::test]
async fn no_fault_or_lie_of_lnbits_loses_or_invents_a_payment() {
    let (fake, server) = FakeLnbits::start().await;
    let urls = [url(&server, INVOICE), url(&server, PAYER)];
    let faulty = Faulty::new(&fake.ledger, server, urls, "/api/v1/payments");
    faulty.suites().await;
}

#[tokio::test]
async fn lnbits_sells_over_http_in_every_dialect_and_serves_once() {
    let (_fake, _server, receiver, payer) = wallets().await;
    sells_and_serves_once(receiver, payer).await;
}

#[tokio::test]
async fn the_invoice_key_receives_and_cannot_pay() {
    let (_fake, server) = FakeLnbits::start().await;
    let invoice = connect(&url(&server, INVOICE)).await.unwrap();
    let profile = invoice.receiver().unwrap().profile();
    assert_eq!(
        (profile.can_spend, profile.network),
        (Some(false), Network::Regtest)
    );
    assert_eq!(profile.key_custody, KeyCustody::Shared);
    assert!(profile.whole_sats_only && profile.public_key.is_some());
    let error = invoice.payer().unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Permission);
    assert!(error.to_string().contains("admin key"), "{error}");

    let admin = connect(&url(&server, ADMIN)).await.unwrap();
    assert_eq!(admin.receiver().unwrap().profile().can_spend, Some(true));
    assert!(!admin.payer().unwrap().profile().keeps_fee_limit);
}

#[tokio::test]
async fn whoever_learns_a_preimage_too_early_is_logged() {
    let (fake, server) = FakeLnbits::start().await;
    for (tells, text) in [
        (false, "to nobody without a key"),
        (true, "to everybody who knows its payment hash: update it"),
    ] {
        fake.tells_everybody.store(tells, Ordering::Relaxed);
        let journal = Journal::begin();
        let node = connect(&url(&server, INVOICE)).await.unwrap();
        let lines = journal.lines();
        assert!(
            lines.contains(text) && lines.contains("127.0.0.1"),
            "{lines}"
        );
        let shown = format!("{lines} {node:?} {:?}", node.receiver());
        assert!(!shown.contains(INVOICE), "{shown}");
        for entry in fake.ledger.0.lock().unwrap().entries.values() {
            assert!(!shown.contains(&entry.preimage), "{shown}");
        }
    }
    for fault in [Fault::Status(502), Fault::Garbage, Fault::Half] {
        server.fault("/api/v1/payments/", fault);
        let journal = Journal::begin();
        connect(&url(&server, INVOICE)).await.unwrap();
        let lines = journal.lines();
        assert!(
            lines.contains("it is not known whether LNbits") && !lines.contains("to nobody"),
            "{fault:?}: {lines}"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_is_named_when_it_is_connected() {
    let (_fake, server) = FakeLnbits::start().await;
    let at = server.address();
    for (url, kind, text) in [
        (
            format!("lnbits+http://{at}"),
            ConnectErrorKind::Url,
            "LNbits needs a key of the wallet",
        ),
        (
            format!("lnbits+http://{at}?key=hunter2"),
            ConnectErrorKind::Permission,
            "the key is of no wallet of it",
        ),
        (
            format!("lnbits+http://{at}?key_file=/no/such/file"),
            ConnectErrorKind::File,
            "/no/such/file",
        ),
        (
            format!("lnbits+https://{at}?key=hunter2"),
            ConnectErrorKind::Unreachable,
            "cannot be reached",
        ),
        (
            format!("lnbits+http://{at}?admin=hunter2"),
            ConnectErrorKind::Url,
            "unknown field admin: expected key",
        ),
    ] {
        expect_no_connection(&url, kind, text).await;
    }
    for (fault, kind, text) in [
        (
            Fault::Status(404),
            ConnectErrorKind::Node,
            "expected LNbits's interface, but the answer is 404",
        ),
        (Fault::Garbage, ConnectErrorKind::Node, "expected JSON"),
        (
            Fault::Half,
            ConnectErrorKind::Unreachable,
            "the answer was lost",
        ),
    ] {
        server.fault("/api", fault);
        expect_no_connection(&url(&server, INVOICE), kind, text).await;
    }
}

#[tokio::test]
async fn what_lnbits_cannot_do_exactly_is_refused() {
    let (_fake, server, receiver, _payer) = wallets().await;
    let before = server.seen().len();
    let text = |text: &str| Description::Text(text.to_owned());
    for (msat, what, why) in [
        (21_001, text("a"), "whole satoshis"),
        (999, text("a"), "whole satoshis"),
        (21_000, text(""), "its own title in place of an empty one"),
    ] {
        let request = InvoiceRequest::new(Amount::from_msat(msat), what, Duration::from_secs(300));
        let error = receiver.create_invoice(request).await.unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::Refused);
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(server.seen().len(), before);
}

#[tokio::test]
async fn a_key_that_is_no_longer_known_is_an_error_and_never_a_settled_invoice() {
    let (fake, _server, receiver, payer) = wallets().await;
    let made = invoice(&receiver, 21, 300).await;
    preimage(&made, payer.pay(&made, LIMITS).await.unwrap());
    assert_eq!(
        receiver.lookup_invoice(made.payment_hash()).await.unwrap(),
        InvoiceStatus::Settled
    );
    // LNbits then answers as to anybody: {"paid": true, "preimage": ..}.
    fake.forgot_keys.store(true, Ordering::Relaxed);
    let error = receiver
        .lookup_invoice(made.payment_hash())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Refused);
    assert!(
        error
            .to_string()
            .contains("the key is of no wallet of it any more"),
        "{error}"
    );
    assert!(
        payer
            .lookup_payment(made.payment_hash())
            .await
            .unwrap_err()
            .may_have_paid()
    );
}

#[tokio::test]
async fn an_invoice_of_the_wallet_is_no_payment_and_a_payment_no_invoice() {
    let (_fake, server, receiver, payer) = wallets().await;
    let admin = wallet(&server, ADMIN).await;
    let made = invoice(&receiver, 21, 300).await;
    preimage(&made, payer.pay(&made, LIMITS).await.unwrap());
    let paid = admin.lookup_payment(made.payment_hash()).await.unwrap();
    assert!(matches!(paid, PaymentStatus::Unknown), "{paid:?}");
    let made = payer.lookup_invoice(made.payment_hash()).await.unwrap();
    assert_eq!(made, InvoiceStatus::Unknown);
}

#[tokio::test]
async fn an_invoice_that_the_wallet_pays_itself_is_settled_only_if_it_was_paid() {
    let (fake, _server, receiver, _payer) = wallets().await;
    fake.pays_itself.store(true, Ordering::Relaxed);
    for (pays, status) in [
        (Pays::Fail, InvoiceStatus::Open),
        (Pays::StayInFlight, InvoiceStatus::Open),
        (Pays::Succeed, InvoiceStatus::Settled),
    ] {
        let made = invoice(&receiver, 21, 300).await;
        fake.ledger.pays(pays);
        assert!(fake.ledger.pay(made.payment_hash()));
        let told = receiver.lookup_invoice(made.payment_hash()).await.unwrap();
        assert_eq!(told, status, "{pays:?}");
    }
}

#[tokio::test]
async fn a_wallet_whose_key_was_deleted_is_not_ready() {
    let (fake, _server, receiver, _payer) = wallets().await;
    receiver.ready().await.unwrap();
    fake.forgot_keys.store(true, Ordering::Relaxed);
    let error = receiver.ready().await.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Refused);
    assert!(error.to_string().contains("of no wallet of it"), "{error}");
}

#[tokio::test]
async fn false_invoices_and_answers_are_errors() {
    let (fake, server, receiver, _payer) = wallets().await;
    expect_no_false_answer("/api", (&fake.ledger, &server), &receiver).await;
}

#[tokio::test]
async fn a_payment_is_sent_once_whatever_happens_to_its_answer() {
    for fault in [
        Fault::Lost,
        Fault::Half,
        Fault::Garbage,
        Fault::Status(502),
        Fault::Status(520),
    ] {
        let (fake, server, receiver, payer) = wallets().await;
        let made = invoice(&receiver, 21, 300).await;
        server.fault("/api/v1/payments", fault);
        let before = server.seen().len();
        assert!(
            payer.pay(&made, LIMITS).await.unwrap_err().may_have_paid(),
            "{fault:?}"
        );
        let sent = server.seen().split_off(before);
        assert_eq!(
            sent.iter().filter(|call| call.starts_with("POST")).count(),
            1,
            "{fault:?}"
        );
        server.no_fault();
        // After a restart of this process.
        let again = wallet(&server, PAYER).await;
        preimage(&made, again.pay(&made, LIMITS).await.unwrap());
        assert_eq!(fake.ledger.payments(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_payment_that_fails_stays_in_flight_or_never_began_is_told_so() {
    let (fake, _server, receiver, payer) = wallets().await;
    let made = invoice(&receiver, 21, 300).await;
    fake.ledger.pays(Pays::Fail);
    assert!(matches!(
        payer.pay(&made, LIMITS).await.unwrap(),
        PaymentStatus::Failed
    ));

    let unknown = Ledger::default().make(21_000, What::Text(String::new()), 300);
    let unknown = Invoice::parse(&unknown).unwrap();
    let error = payer.pay(&unknown, LIMITS).await.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Refused);
    assert!(
        !error.may_have_paid() && error.to_string().contains("Insufficient balance."),
        "{error}"
    );

    let made = invoice(&receiver, 21, 300).await;
    fake.ledger.pays(Pays::StayInFlight);
    for _ in 0..2 {
        assert!(matches!(
            payer.pay(&made, LIMITS).await.unwrap(),
            PaymentStatus::InFlight
        ));
    }
    // An invoice key is refused.
    let error = receiver.pay(&made, LIMITS).await.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Refused);
}

#[tokio::test]
async fn settlements_are_each_told_once() {
    let (_fake, _server, receiver, payer) = wallets().await;
    let mut settlements = receiver.settlements();
    let mut paid = Vec::new();
    for _ in 0..3 {
        let made = invoice(&receiver, 21, 300).await;
        preimage(&made, payer.pay(&made, LIMITS).await.unwrap());
        paid.push(made.payment_hash());
    }
    let seen: Vec<_> = settlements.by_ref().take(3).collect().await;
    assert_eq!(seen, paid);
    let made = invoice(&receiver, 21, 300).await;
    preimage(&made, payer.pay(&made, LIMITS).await.unwrap());
    tokio::time::pause();
    assert_eq!(settlements.next().await, Some(made.payment_hash()));
}
