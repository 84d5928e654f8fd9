//! The adapter for phoenixd, against a server of ours that speaks its protocol and answers wrongly if told to.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use tower_x402::{
    Amount, Invoice, Network,
    lightning::{
        ConnectErrorKind, Description, InvoiceRequest, NodeErrorKind, PayLimits, Payer,
        PaymentStatus, Phoenixd, Receiver, Secret, conformance, connect,
    },
};

use crate::{
    adapter::{expect_no_connection, expect_no_false_answer},
    fake::{
        Fault, Server,
        faults::Faulty,
        ledger::{Ledger, Pays, What},
        phoenixd::{FULL, FakePhoenixd, LIMITED},
    },
    invoice,
    measured::measured,
    preimage,
    selling::sells_and_serves_once,
};

const LIMITS: PayLimits = PayLimits::new(Amount::from_sat(10), Duration::from_secs(5));

fn url(server: &Server, password: &str) -> String {
    format!(
        "phoenixd://:{}@{}",
        password.replace('/', "%2F"),
        server.address()
    )
}

async fn node() -> (Arc<FakePhoenixd>, Server, Phoenixd) {
    let (fake, server) = FakePhoenixd::start().await;
    let builder = Phoenixd::builder(server.address().to_string()).password(Secret::new(FULL));
    let node = builder.connect().await.unwrap();
    (fake, server, node)
}

#[tokio::test]
async fn phoenixd_does_what_every_node_must() {
    let (_fake, _server, node) = node().await;
    conformance::receiver(&node).await;
    conformance::payer(&node, &node).await;
}

#[tokio::test]
async fn no_fault_or_lie_of_phoenixd_loses_or_invents_a_payment() {
    let (fake, server) = FakePhoenixd::start().await;
    let urls = [url(&server, LIMITED), url(&server, FULL)];
    let faulty = Faulty::new(&fake.ledger, server, urls, "/payinvoice");
    faulty.suites().await;
}

#[tokio::test]
async fn phoenixd_sells_over_http_in_every_dialect_and_serves_once() {
    let (_fake, _server, node) = node().await;
    sells_and_serves_once(node.clone(), node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phoenixd_is_measured_without_a_real_one() {
    let (_fake, _server, node) = node().await;
    measured("phoenixd, a server of ours", &node, &node).await;
}

#[tokio::test]
async fn the_limited_password_receives_and_cannot_pay() {
    let (_fake, server) = FakePhoenixd::start().await;
    let limited = connect(&url(&server, LIMITED)).await.unwrap();
    let profile = limited.receiver().unwrap().profile();
    assert_eq!(
        (profile.can_spend, profile.network),
        (Some(false), Network::Regtest)
    );
    assert!(profile.whole_sats_only);
    let error = limited.payer().unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Permission);
    assert!(
        error.to_string().contains("http-password of phoenix.conf"),
        "{error}"
    );
    conformance::receiver(&*limited.receiver().unwrap()).await;

    let full = connect(&url(&server, FULL)).await.unwrap();
    assert_eq!(full.receiver().unwrap().profile().can_spend, Some(true));
    assert!(!full.payer().unwrap().profile().keeps_fee_limit);
    // Behind a proxy, and with the password in a file.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{FULL}\n")).unwrap();
    let url = format!(
        "phoenixd://{}/node/?password_file={}",
        server.address(),
        file.path().display()
    );
    assert!(connect(&url).await.unwrap().payer().is_ok());
}

#[tokio::test]
async fn what_is_wrong_is_named_when_it_is_connected() {
    let (_fake, server) = FakePhoenixd::start().await;
    let at = server.address();
    for (url, kind, text) in [
        (
            format!("phoenixd://{at}"),
            ConnectErrorKind::Url,
            "phoenixd needs a password",
        ),
        (
            format!("phoenixd://hunter2@{at}"),
            ConnectErrorKind::Url,
            "phoenixd has no user names",
        ),
        (
            format!("phoenixd://:hunter2@{at}?password=hunter2"),
            ConnectErrorKind::Url,
            "more than one password",
        ),
        (
            format!("phoenixd://:hunter2@{at}?key=hunter2"),
            ConnectErrorKind::Url,
            "unknown field key",
        ),
        (
            format!("phoenixd://:hunter2@{at}"),
            ConnectErrorKind::Permission,
            "the password is wrong",
        ),
    ] {
        expect_no_connection(&url, kind, text).await;
    }
    for (fault, kind, text) in [
        (
            Fault::Status(404),
            ConnectErrorKind::Node,
            "check the port (9740 by default)",
        ),
        (
            Fault::Status(500),
            ConnectErrorKind::Node,
            "check the port (9740 by default)",
        ),
        (Fault::Garbage, ConnectErrorKind::Node, "expected JSON"),
        (
            Fault::Half,
            ConnectErrorKind::Unreachable,
            "the answer was lost",
        ),
    ] {
        server.fault("/getinfo", fault);
        expect_no_connection(&url(&server, LIMITED), kind, text).await;
    }
    for (version, text) in [
        ("0.4.2-24b817a", "phoenixd 0.6.1 or newer"),
        ("0.5.0-dc7f124", "phoenixd 0.6.1 or newer"),
        ("0.6.0-ab34567", "phoenixd 0.6.1 or newer"),
        ("0.6", "phoenixd 0.6.1 or newer"),
        ("0.0.1", "phoenixd 0.6.1 or newer"),
    ] {
        let (_fake, server) = FakePhoenixd::of(version).await;
        let error = connect(&url(&server, LIMITED)).await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
    for version in ["0.6.1-ab34567", "0.6.2", "0.7.0", "1.0.0", "0.10.0"] {
        let (_fake, server) = FakePhoenixd::of(version).await;
        connect(&url(&server, LIMITED)).await.unwrap();
    }
}

#[tokio::test]
async fn what_phoenixd_cannot_do_exactly_is_refused() {
    let (_fake, server, node) = node().await;
    let before = server.seen().len();
    let text = |text: &str| Description::Text(text.to_owned());
    for (msat, what, why) in [
        (21_001, text("a"), "whole satoshis"),
        (999, text("a"), "whole satoshis"),
        (21_000, text(&"x".repeat(129)), "at most 128 characters"),
    ] {
        let request = InvoiceRequest::new(Amount::from_msat(msat), what, Duration::from_secs(300));
        let error = node.create_invoice(request).await.unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::Refused);
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(server.seen().len(), before);
}

#[tokio::test]
async fn false_invoices_and_answers_are_errors() {
    let (fake, server, node) = node().await;
    expect_no_false_answer("/", (&fake.ledger, &server), &node).await;
}

#[tokio::test]
async fn a_payment_is_sent_once_whatever_happens_to_its_answer() {
    for fault in [Fault::Lost, Fault::Half, Fault::Garbage, Fault::Status(502)] {
        let (fake, server, node) = node().await;
        let made = invoice(&node, 21, 300).await;
        server.fault("/payinvoice", fault);
        let paid = node.pay(&made, LIMITS).await;
        if matches!(fault, Fault::Lost | Fault::Half) {
            // It was found by its hash.
            preimage(&made, paid.unwrap());
        } else {
            assert!(paid.unwrap_err().may_have_paid(), "{fault:?}");
        }
        let sent = server
            .seen()
            .iter()
            .filter(|call| *call == "POST /payinvoice")
            .count();
        assert_eq!(
            sent, 2,
            "one without an invoice, to learn the right, and one payment"
        );
        server.no_fault();
        let again = connect(&url(&server, FULL)).await.unwrap().payer().unwrap();
        preimage(&made, again.pay(&made, LIMITS).await.unwrap());
        assert_eq!(fake.ledger.payments(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_payment_that_fails_stays_in_flight_or_never_began_is_told_so() {
    let (fake, server, node) = node().await;
    let made = invoice(&node, 21, 300).await;
    fake.ledger.pays(Pays::Fail);
    assert!(matches!(
        node.pay(&made, LIMITS).await.unwrap(),
        PaymentStatus::Failed
    ));
    fake.ledger.pays(Pays::Succeed);
    preimage(&made, node.pay(&made, LIMITS).await.unwrap());

    let unknown = Ledger::default().make(21_000, What::Text(String::new()), 300);
    let unknown = Invoice::parse(&unknown).unwrap();
    let error = node.pay(&unknown, LIMITS).await.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Refused);
    assert!(
        !error.may_have_paid() && error.to_string().contains("cannot be reached"),
        "{error}"
    );

    server.fault("/outgoingbyhash", Fault::Status(502));
    let error = node.pay(&unknown, LIMITS).await.unwrap_err();
    assert!(!error.may_have_paid(), "it was not sent: {error}");
    server.no_fault();

    let made = invoice(&node, 21, 300).await;
    fake.ledger.pays(Pays::StayInFlight);
    tokio::time::pause();
    for _ in 0..2 {
        assert!(matches!(
            node.pay(&made, LIMITS).await.unwrap(),
            PaymentStatus::InFlight
        ));
    }
}

#[tokio::test]
async fn a_list_of_settlements_without_an_end_is_read_for_fifty_pages() {
    let (fake, server, node) = node().await;
    let mut settlements = node.settlements();
    let made = invoice(&node, 21, 300).await;
    preimage(&made, node.pay(&made, LIMITS).await.unwrap());
    *fake.fills_pages.lock().unwrap() = Some(made.payment_hash());
    let pages = || {
        let seen = server.seen();
        seen.iter()
            .filter(|call| *call == "GET /payments/incoming")
            .count()
    };
    let too_many = async {
        while pages() <= 50 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = too_many => panic!("it reads on"),
        told = settlements.next() => assert_eq!(told, Some(made.payment_hash())),
    }
    assert_eq!(pages(), 50);
}

#[tokio::test]
async fn settlements_are_each_told_once_also_on_several_pages() {
    let (_fake, server, node) = node().await;
    let mut settlements = node.settlements();
    let mut paid = Vec::new();
    for _ in 0..150 {
        let made = invoice(&node, 21, 300).await;
        preimage(&made, node.pay(&made, LIMITS).await.unwrap());
        paid.push(made.payment_hash());
    }
    let seen: Vec<_> = settlements.by_ref().take(150).collect().await;
    assert_eq!(seen, paid);
    // phoenixd fails for a while.
    server.fault("/payments/incoming", Fault::Status(502));
    let made = invoice(&node, 21, 300).await;
    preimage(&made, node.pay(&made, LIMITS).await.unwrap());
    let asked = || {
        let seen = server.seen();
        seen.iter()
            .filter(|call| *call == "GET /payments/incoming")
            .count()
    };
    let before = asked();
    let refused = async {
        while asked() == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = settlements.next() => panic!("phoenixd fails"),
        () = refused => {}
    }
    server.no_fault();
    tokio::time::pause();
    assert_eq!(settlements.next().await, Some(made.payment_hash()));
}
