//! The adapter for LND, against a server of ours that speaks its protocol and answers wrongly if told to.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, future::join_all};
use tower_x402::{
    Amount, PaymentHash, Paywall,
    lightning::{
        BoxStream, InvoiceStatus, Lnd, NodeErrorKind, PayLimits, Payer, Receiver, Secret,
        conformance, connect,
    },
};

use crate::{
    fake::{Fault, Server, faults::Faulty, ledger::Lie, lnd::FakeLnd},
    invoice,
    journal::Journal,
    preimage,
    selling::sells_and_serves_once,
};

pub(crate) const LIMITS: PayLimits = PayLimits::new(Amount::from_sat(10), Duration::from_secs(5));

pub(crate) const RECEIVES: [(&str, &str); 2] = [("invoices", "read"), ("invoices", "write")];
pub(crate) const ALL: [(&str, &str); 5] = [
    ("info", "read"),
    ("invoices", "read"),
    ("invoices", "write"),
    ("offchain", "read"),
    ("offchain", "write"),
];

/// A macaroon with these rights, in hexadecimal digits.
pub(crate) fn macaroon(rights: &[(&str, &str)]) -> String {
    let field =
        |tag: u8, bytes: &[u8]| [&[tag, u8::try_from(bytes.len()).unwrap()][..], bytes].concat();
    let operation = |(entity, action): &(&str, &str)| {
        field(
            0x1a,
            &[
                field(0x0a, entity.as_bytes()),
                field(0x12, action.as_bytes()),
            ]
            .concat(),
        )
    };
    let operations: Vec<u8> = rights.iter().flat_map(operation).collect();
    let identifier = [
        &[3][..],
        &field(0x0a, &[0; 16]),
        &field(0x12, b"0"),
        &operations,
    ]
    .concat();
    let length = identifier.len();
    let length = [
        u8::try_from(length & 0x7f).unwrap() | 0x80,
        u8::try_from(length >> 7).unwrap(),
    ];
    let macaroon = [
        &[2, 1, 3, b'l', b'n', b'd', 2][..],
        &length,
        &identifier,
        &[0, 0, 6, 32],
        &[0; 32],
    ]
    .concat();
    macaroon.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn url(server: &Server, rights: &[(&str, &str)]) -> String {
    format!(
        "lnd+http://{}?macaroon_hex={}",
        server.address(),
        macaroon(rights)
    )
}

pub(crate) async fn node() -> (Arc<FakeLnd>, Server, Lnd) {
    let (fake, server) = FakeLnd::start().await;
    let builder = Lnd::builder(server.address().to_string()).macaroon(Secret::new(macaroon(&ALL)));
    let node = builder.without_tls().connect().await.unwrap();
    (fake, server, node)
}

#[tokio::test]
async fn lnd_does_what_every_node_must() {
    let (_fake, _server, node) = node().await;
    conformance::receiver(&node).await;
    conformance::payer(&node, &node).await;
}

#[tokio::test]
async fn lnd_keeps_to_a_fee_limit() {
    let (_fake, _server, node) = node().await;
    conformance::fee_limit(&node, &node).await;
}

#[tokio::test]
async fn no_fault_or_lie_of_lnd_loses_or_invents_a_payment() {
    let (fake, server) = FakeLnd::start().await;
    let urls = [url(&server, &RECEIVES), url(&server, &ALL)];
    let faulty = Faulty::new(&fake.ledger, server, urls, "/v2/router/send");
    faulty.suites().await;
}

#[tokio::test]
async fn lnd_sells_over_http_in_every_dialect_and_serves_once() {
    let (_fake, _server, node) = node().await;
    sells_and_serves_once(node.clone(), node).await;
}

#[tokio::test]
async fn a_receiver_from_a_url_builds_a_paywall_in_one_line() {
    let (_fake, server) = FakeLnd::start().await;
    let node = connect(&url(&server, &RECEIVES)).await.unwrap();
    let paywall = Paywall::builder(node.receiver().unwrap())
        .allow_test_network()
        .origin("http://127.0.0.1:3000")
        .master_secret(tower_x402::Secrets::test_secret(1))
        .replay_store(tower_x402::MemoryStore::new().unwrap())
        .build();
    paywall.unwrap();
    let shown = format!("{node:?} {:?}", node.receiver());
    assert!(
        !shown.contains(&macaroon(&RECEIVES)) && shown.contains("127.0.0.1"),
        "{shown}"
    );
}

#[tokio::test]
async fn false_invoices_and_answers_are_errors() {
    let (fake, server, node) = node().await;
    let asks = async || crate::asks(&node).await.unwrap_err();
    for (lie, text) in [
        (Lie::Amount, "expected an invoice of exactly 21 sat"),
        (Lie::Network, "expected an invoice for regtest"),
        (Lie::Payee, "signed by the same key"),
        (Lie::NoInvoice, "invoice refused"),
    ] {
        fake.ledger.lie(lie);
        let error = asks().await;
        assert_eq!(error.kind(), NodeErrorKind::BadAnswer, "{error}");
        assert!(
            error.to_string().contains(text) && !error.may_have_paid(),
            "{error}"
        );
    }
    for (fault, kind) in [
        (Fault::Status(500), NodeErrorKind::BadAnswer),
        (Fault::Garbage, NodeErrorKind::BadAnswer),
        (Fault::Long, NodeErrorKind::BadAnswer),
        (Fault::Half, NodeErrorKind::Unreachable),
        (Fault::Lost, NodeErrorKind::Unreachable),
    ] {
        server.fault("/v1/invoice", fault);
        assert_eq!(asks().await.kind(), kind, "{fault:?}");
        let looked_up = node.lookup_invoice(crate::unheard_of()).await;
        assert_eq!(looked_up.unwrap_err().kind(), kind, "{fault:?}");
    }
    server.no_fault();
    fake.fails("wallet locked, unlock it to enable full RPC access");
    let error = asks().await;
    assert_eq!(error.kind(), NodeErrorKind::Unreachable);
    assert!(error.to_string().contains("lncli unlock"), "{error}");
}

#[tokio::test]
async fn a_slow_answer_delays_no_other_and_many_calls_run_at_once() {
    let (_fake, server, node) = node().await;
    server.fault("/v1/invoices", Fault::Silent);
    let slow: Vec<_> = (0..64).map(|_| crate::asks(&node)).collect();
    let slow = join_all(slow);
    tokio::select! {
        _ = slow => panic!("it has no answer"),
        () = server.waiting(64) => {}
    }
    // Others are answered meanwhile.
    let status = node.lookup_invoice(crate::unheard_of()).await.unwrap();
    assert_eq!(status, InvoiceStatus::Unknown);
}

#[tokio::test]
async fn a_call_without_an_answer_ends_after_thirty_seconds() {
    let (_fake, server, node) = node().await;
    server.fault("/v", Fault::Silent);
    let asked = tokio::spawn({
        let node = node.clone();
        async move { node.lookup_invoice(crate::unheard_of()).await }
    });
    server.waiting(1).await;
    tokio::time::pause();
    let error = asked.await.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("no answer within 30 seconds"),
        "{error}"
    );
}

#[tokio::test]
async fn settlements_go_on_after_the_stream_broke_and_miss_none() {
    let (fake, _server, node) = node().await;
    let mut settlements = node.settlements();
    let pays = async || {
        let made = invoice(&node, 21, 300).await;
        preimage(&made, node.pay(&made, LIMITS).await.unwrap());
        made.payment_hash()
    };
    // Before the stream was first polled.
    let first = pays().await;
    assert_eq!(settlements.next().await, Some(first));
    let (second, third) = (pays().await, pays().await);
    let mut seen = vec![
        settlements.next().await.unwrap(),
        settlements.next().await.unwrap(),
    ];
    fake.hang_up();
    // While no stream is open.
    let fourth = pays().await;
    seen.push(settlements.next().await.unwrap());
    assert_eq!(seen, [second, third, fourth]);
}

#[tokio::test]
async fn a_settlement_that_is_told_at_length_is_left_out_and_holds_up_no_other() {
    let (fake, _server, node) = node().await;
    let pays = async |is_long: bool| {
        let made = invoice(&node, 21, 300).await;
        if is_long {
            fake.tells_at_length(made.payment_hash());
        }
        preimage(&made, node.pay(&made, LIMITS).await.unwrap());
        made.payment_hash()
    };
    let mut settlements = node.settlements();
    let first = pays(false).await;
    assert_eq!(settlements.next().await, Some(first));
    let opened = async {
        while !fake.is_listened_to() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = settlements.next() => panic!("nothing settled"),
        () = opened => {}
    }
    let journal = Journal::begin();
    let interrupted = async || {
        while !journal.lines().contains("is interrupted") {
            tokio::task::yield_now().await;
        }
    };
    pays(true).await;
    let third = pays(false).await;
    tokio::select! {
        told = settlements.next() => assert_eq!(told, Some(third)),
        () = interrupted() => panic!("{}", journal.lines()),
    }
    assert!(journal.lines().contains("longer than 1 MiB"));
    // The list of the newest invoices has the long one too.
    let mut later = node.settlements();
    let fourth = pays(false).await;
    tokio::select! {
        () = reports(&mut later, fourth) => {}
        () = interrupted() => panic!("{}", journal.lines()),
    }
    // LND tells the long one again to a new stream.
    fake.hang_up();
    reports(&mut settlements, pays(false).await).await;
}

/// Waits until a settlement is reported.
async fn reports(settlements: &mut BoxStream<'_, PaymentHash>, hash: PaymentHash) {
    while settlements.next().await != Some(hash) {}
}

#[tokio::test]
async fn a_dropped_call_has_no_effect_on_the_next() {
    let (_fake, _server, node) = node().await;
    assert!(crate::asks(&node).now_or_never().is_none());
    crate::asks(&node).await.unwrap();
}
