//! Core Lightning, as a server of ours speaks its protocol.

mod answers;
mod by_hand;
mod fault;
mod faults;
mod lightningd;
mod payments;

use std::{fs, time::Duration};

use futures_util::{StreamExt as _, future::join_all};
use serde_json::json;
use tower_x402::{
    Amount, Network,
    lightning::{
        Cln, ConnectErrorKind, Description, InvoiceRequest, KeyCustody, NodeErrorKind, Payer as _,
        Receiver, conformance, connect,
    },
};

use self::{fault::Fault, lightningd::Lightningd};
use crate::{LIMITS, asks, invoice, selling::sells_and_serves_once};

async fn connected() -> (Lightningd, Cln) {
    let server = Lightningd::start();
    let node = Cln::builder(&server.socket).connect().await.unwrap();
    (server, node)
}

#[tokio::test]
async fn core_lightning_does_what_every_node_must() {
    let (server, node) = connected().await;
    conformance::receiver(&node).await;
    conformance::payer(&node, &node).await;
    let url = format!("cln://{}", server.socket.display());
    let both = connect(&url).await.unwrap();
    assert_eq!(both.name(), "Core Lightning");
    conformance::receiver(&*both.receiver().unwrap()).await;
    conformance::payer(&*both.receiver().unwrap(), &*both.payer().unwrap()).await;
}

#[tokio::test]
async fn core_lightning_is_ready_once_it_is_synced() {
    let (server, node) = connected().await;
    node.ready().await.unwrap();
    server.syncs();
    let error = node.ready().await.unwrap_err().to_string();
    assert!(error.contains("Still loading latest blocks"), "{error}");
}

#[tokio::test]
async fn core_lightning_sells_over_http_in_every_dialect() {
    let (_server, node) = connected().await;
    sells_and_serves_once(node.clone(), node).await;
}

#[tokio::test]
async fn a_socket_can_spend_and_its_node_is_known() {
    let (server, node) = connected().await;
    let profile = Receiver::profile(&node);
    assert_eq!(profile.network, Network::Regtest);
    assert_eq!(
        profile.public_key,
        Receiver::profile(&server.node).public_key
    );
    assert_eq!(profile.key_custody, KeyCustody::Exclusive);
    assert_eq!(profile.can_spend, Some(true));
    assert!(!profile.whole_sats_only && !profile.in_process);
    let shared = Cln::builder(&server.socket).key_custody(KeyCustody::Shared);
    let profile = Receiver::profile(&shared.connect().await.unwrap());
    assert_eq!(profile.key_custody, KeyCustody::Shared);
}

#[tokio::test]
async fn a_node_that_cannot_be_connected_is_named_with_the_fix() {
    let server = Lightningd::start();
    let fails = async |path: &str, kind: ConnectErrorKind, part: &str| {
        let error = connect(&format!("cln://{path}")).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(part), "{text}");
        assert!(text.contains(path), "{text}");
        assert_eq!(error.kind(), kind, "{text}");
    };
    let socket = server.socket.to_str().unwrap();
    server.network("litecoin");
    fails(
        socket,
        ConnectErrorKind::Node,
        "expected bitcoin, testnet, signet or regtest",
    )
    .await;
    server.network("regtest");
    for (fault, kind, part) in [
        (
            Fault::Garbage,
            ConnectErrorKind::Node,
            "name the file lightning-rpc",
        ),
        (Fault::Endless, ConnectErrorKind::Node, "longer than 1 MiB"),
        (
            Fault::Error(-32601),
            ConnectErrorKind::Node,
            "no luck (code -32601)",
        ),
        (
            Fault::Half,
            ConnectErrorKind::Unreachable,
            "before its answer was complete",
        ),
    ] {
        server.fault("getinfo", fault);
        fails(socket, kind, part).await;
    }
    server.kill().await;
    fails(socket, ConnectErrorKind::Unreachable, "start lightningd").await;
    fs::remove_file(&server.socket).unwrap();
    fails(socket, ConnectErrorKind::File, "there is no such file").await;
    for url in [
        "cln://lightning-rpc",
        "cln://",
        "cln:///",
        "cln://host/lightning-rpc",
    ] {
        let error = connect(url).await.unwrap_err().to_string();
        assert!(error.contains("cln:///home/"), "{error}");
    }
    let error = connect("cln:///lightning-rpc?rune=x").await.unwrap_err();
    assert!(error.to_string().contains("unknown field rune"), "{error}");
}

#[tokio::test]
async fn a_version_that_may_list_a_payment_under_way_as_failed_only_receives() {
    let server = Lightningd::start();
    server.version("v25.12.1");
    let node = Cln::builder(&server.socket).connect().await.unwrap();
    let invoice = invoice(&node, 21, 60).await;
    let error = node.pay(&invoice, LIMITS).await.unwrap_err();
    assert!(error.to_string().contains("26.06 or newer"), "{error}");
    assert!(!error.may_have_paid());
    let error = node.lookup_payment(invoice.payment_hash()).await;
    assert!(error.unwrap_err().may_have_paid());
    assert!(server.calls("xpay").is_empty() && server.calls("listpays").is_empty());
    let url = format!("cln://{}", server.socket.display());
    let both = connect(&url).await.unwrap();
    both.receiver().unwrap();
    let error = both.payer().err().unwrap().to_string();
    assert!(
        error.contains("cannot pay") && error.contains("v25.12.1"),
        "{error}"
    );
}

#[tokio::test]
async fn an_invoice_that_no_channel_can_receive_is_not_handed_out() {
    for (warning, fix) in [
        ("warning_capacity", "inbound liquidity"),
        ("warning_offline", "offline"),
        ("warning_private_unused", "private_channels"),
    ] {
        let (server, node) = connected().await;
        server.warns(warning);
        let error = asks(&node).await.unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::Refused);
        assert!(error.to_string().contains(fix), "{error}");
    }
    for warning in ["warning_mpp", "warning_deadends"] {
        let (server, node) = connected().await;
        server.warns(warning);
        asks(&node).await.unwrap();
    }
}

#[tokio::test]
async fn route_hints_for_private_channels_are_asked_for() {
    let server = Lightningd::start();
    let url = format!("cln://{}", server.socket.display());
    for (url, asked) in [
        (url.clone(), json!(null)),
        (format!("{url}?private_channels=false"), json!(null)),
        (format!("{url}?private_channels=true"), json!(true)),
    ] {
        let receiver = connect(&url).await.unwrap().receiver().unwrap();
        asks(&receiver).await.unwrap();
        let call = server.calls("invoice").pop().unwrap();
        assert_eq!(call["exposeprivatechannels"], asked, "{url}");
    }
    let builder = Cln::builder(&server.socket).private_channels();
    asks(&builder.connect().await.unwrap()).await.unwrap();
    let call = server.calls("invoice").pop().unwrap();
    assert_eq!(call["exposeprivatechannels"], true);
    let error = connect(&format!("{url}?private_channels=1")).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("private_channels of the cln URL must be true or false"),
        "{error}"
    );
}

#[tokio::test]
async fn a_wrong_answer_about_an_invoice_is_an_error() {
    let (server, node) = connected().await;
    let request = || {
        let what = Description::Hashed(b"a test".to_vec());
        InvoiceRequest::new(Amount::from_sat(10), what, Duration::from_secs(60))
    };
    for (fault, kind) in [
        (Fault::OtherAmount, NodeErrorKind::BadAnswer),
        (Fault::OtherHash, NodeErrorKind::BadAnswer),
        (Fault::OtherCall, NodeErrorKind::BadAnswer),
        (Fault::Neither, NodeErrorKind::BadAnswer),
        (Fault::Garbage, NodeErrorKind::BadAnswer),
        (Fault::Endless, NodeErrorKind::BadAnswer),
        (Fault::Half, NodeErrorKind::Unreachable),
        (Fault::Closes, NodeErrorKind::Unreachable),
        (Fault::Error(900), NodeErrorKind::Refused),
    ] {
        server.fault("invoice", fault);
        let error = node.create_invoice(request()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
    }
    server.honest();
    let invoice = node.create_invoice(request()).await.unwrap();
    server.fault("listinvoices", Fault::OtherHash);
    let error = node
        .lookup_invoice(invoice.payment_hash())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::BadAnswer);
}

#[tokio::test]
async fn a_description_that_the_node_cannot_hash_is_refused() {
    let (server, node) = connected().await;
    for bytes in [b"\xff\xfe".to_vec(), b"a\0b".to_vec(), b"a\x1bb".to_vec()] {
        let what = Description::Hashed(bytes);
        let request = InvoiceRequest::new(Amount::from_sat(1), what, Duration::from_secs(60));
        let error = node.create_invoice(request).await.unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::Refused, "{error}");
    }
    assert!(server.calls("invoice").is_empty());
    let what = Description::Text("one\n\"two\"\t\\u0041".to_owned());
    let request = InvoiceRequest::new(Amount::from_sat(1), what, Duration::from_secs(60));
    node.create_invoice(request).await.unwrap();
}

#[tokio::test]
async fn a_slow_answer_delays_no_other() {
    let (server, node) = connected().await;
    server.node.pause();
    let slow: Vec<_> = (0..64).map(|_| invoice(&node, 10, 60)).collect();
    let asked = async {
        server.node.paused_calls(64).await;
        // The server answers this one itself.
        Cln::builder(&server.socket).connect().await.unwrap();
        server.node.resume();
    };
    let (invoices, ()) = tokio::join!(join_all(slow), asked);
    assert_eq!(invoices.len(), 64);
}

#[tokio::test]
async fn more_connections_than_the_socket_queues_are_all_served() {
    let (server, node) = connected().await;
    server.restart(1).await;
    let invoices = join_all((0..64).map(|_| invoice(&node, 10, 60))).await;
    assert_eq!(invoices.len(), 64);
}

/// The time is paused, so that no test waits for the delay before the next attempt.
#[tokio::test(start_paused = true)]
async fn settlements_go_on_after_the_node_was_restarted_and_none_is_missed() {
    let (server, node) = connected().await;
    let mut invoices = Vec::new();
    for _ in 0..4 {
        invoices.push(invoice(&node, 10, 600).await);
    }
    let settle = |number: usize| server.node.settle(invoices[number].payment_hash()).unwrap();
    settle(0);
    server.settled(1).await;
    let mut settlements = node.settlements();
    assert_eq!(settlements.next().await, Some(invoices[0].payment_hash()));
    server.kill().await;
    settle(1);
    settle(2);
    let (next, ()) = tokio::join!(settlements.next(), server.restart(128));
    assert_eq!(next, Some(invoices[1].payment_hash()));
    assert_eq!(settlements.next().await, Some(invoices[2].payment_hash()));
    server.fault("waitanyinvoice", Fault::OtherHash);
    settle(3);
    server.settled(4).await;
    server.honest();
    assert_eq!(settlements.next().await, Some(invoices[3].payment_hash()));
    drop(settlements);
    let fifth = invoice(&node, 10, 600).await;
    let mut later = node.settlements();
    server.node.settle(fifth.payment_hash()).unwrap();
    assert_eq!(later.next().await, Some(fifth.payment_hash()));

    // A node that is connected later begins after what settled before.
    let node = Cln::builder(&server.socket).connect().await.unwrap();
    let another = invoice(&node, 10, 600).await;
    let mut settlements = node.settlements();
    server.node.settle(another.payment_hash()).unwrap();
    assert_eq!(settlements.next().await, Some(another.payment_hash()));
}
