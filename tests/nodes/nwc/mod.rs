//! Nostr Wallet Connect, with a relay and wallet services of ours.

mod builder;
mod connecting;
mod doubtful;
mod faults;
mod hostile;
mod ledger;
mod options;
mod payments;
mod reconnecting;
mod relay;
mod service;
mod trials;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use tower_x402::{
    Amount, InvoiceDescription, Network,
    lightning::{
        ConnectError, Description, InvoiceRequest, InvoiceStatus, KeyCustody, NodeErrorKind, Nwc,
        PayerProfile, Receiver, Secret, conformance, connect,
    },
};

use self::{
    ledger::{Ledger, Payments},
    options::{ALL, Fault, Options},
    relay::Relay,
    service::Service,
};
use crate::{invoice, measured::measured, selling::sells_and_serves_once};

/// Connects the wallet of a URL.
async fn open(url: &str) -> Result<Nwc, ConnectError> {
    Nwc::builder(Secret::new(url)).connect().await
}

/// A relay, and a wallet that receives and one that pays.
struct Set {
    relay: Arc<Relay>,
    ledger: Arc<Ledger>,
    receiver: Service,
    payer: Service,
    is_down: AtomicBool,
}

impl Set {
    async fn with(receives: Options) -> Self {
        let (relay, ledger) = (Arc::new(Relay::start().await), Arc::new(Ledger::new()));
        let pays = Options {
            receives: false,
            methods: "get_info lookup_invoice pay_invoice",
            ..receives.clone()
        };
        Self {
            receiver: Service::start(&relay, &ledger, receives),
            payer: Service::start(&relay, &ledger, pays),
            relay,
            ledger,
            is_down: AtomicBool::new(false),
        }
    }

    async fn connected() -> (Self, Nwc, Nwc) {
        let set = Self::with(Options::default()).await;
        let receiver = open(&set.receiver.url).await.unwrap();
        let payer = open(&set.payer.url).await.unwrap();
        (set, receiver, payer)
    }
}

#[tokio::test]
async fn a_wallet_behind_a_relay_sells_over_http() {
    let (_set, receiver, payer) = Set::connected().await;
    sells_and_serves_once(receiver, payer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nwc_is_measured_without_a_real_wallet() {
    let (_set, receiver, payer) = Set::connected().await;
    measured("nwc, with a relay and wallet of ours", &receiver, &payer).await;
}

fn request(msat: u64, description: Description) -> InvoiceRequest {
    InvoiceRequest::new(
        Amount::from_msat(msat),
        description,
        Duration::from_secs(60),
    )
}

#[tokio::test]
async fn a_wallet_behind_a_relay_does_what_every_node_must() {
    let older = Options {
        nip44: false,
        notifies: false,
        states: false,
        ..Options::default()
    };
    for options in [Options::default(), older] {
        let set = Set::with(options).await;
        let receiver = connect(&set.receiver.url)
            .await
            .unwrap()
            .receiver()
            .unwrap();
        let payer = connect(&set.payer.url).await.unwrap().payer().unwrap();
        conformance::receiver(&*receiver).await;
        conformance::payer(&*receiver, &*payer).await;
    }
}

#[tokio::test]
async fn a_wallet_is_always_shared_and_its_rights_are_read() {
    let (set, receiver, payer) = Set::connected().await;
    conformance::identities(&payer, &payer.clone(), &receiver);
    let profile = Receiver::profile(&receiver);
    assert_eq!(profile.key_custody, KeyCustody::Shared);
    assert_eq!(profile.network, Network::Regtest);
    assert_eq!(profile.public_key, Some(set.ledger.public_key()));
    assert_eq!(profile.can_spend, Some(true));
    assert!(!profile.whole_sats_only && !profile.in_process);
    let PayerProfile {
        network,
        keeps_fee_limit,
        ..
    } = tower_x402::lightning::Payer::profile(&payer);
    assert_eq!((network, keeps_fee_limit), (Network::Regtest, false));

    let lacks = async |methods: &'static str| {
        let options = Options {
            methods,
            ..Options::default()
        };
        let service = Service::start(&set.relay, &set.ledger, options);
        let node = connect(&service.url).await.unwrap();
        let can_spend = node.receiver().map(|receiver| receiver.profile().can_spend);
        (
            can_spend.map_err(|error| error.to_string()),
            node.payer().map(|_| ()).map_err(|error| error.to_string()),
        )
    };
    let (receives, pays) = lacks("get_info make_invoice lookup_invoice").await;
    assert_eq!(receives, Ok(Some(false)));
    assert!(
        pays.unwrap_err()
            .contains("allow it pay_invoice and lookup_invoice")
    );
    let (receives, pays) = lacks("get_info pay_invoice lookup_invoice").await;
    assert!(
        receives
            .unwrap_err()
            .contains("allow it make_invoice and lookup_invoice")
    );
    pays.unwrap();
    for spends in [
        "pay_keysend",
        "multi_pay_invoice",
        "multi_pay_keysend",
        "pay_offer",
        "pay_onchain",
        "multi_pay_offer",
        "probe_keysend_route",
        "create_connection",
    ] {
        let methods = format!("get_info make_invoice lookup_invoice {spends}");
        let (receives, _) = lacks(methods.leak()).await;
        assert_eq!(receives, Ok(Some(true)), "{spends}");
    }
    let (receives, _) =
        lacks("get_info make_invoice lookup_invoice get_balance sign_message").await;
    assert_eq!(receives, Ok(Some(false)));
    // This one does not grant `get_info`, so what it publishes counts.
    let (receives, _) = lacks("make_invoice lookup_invoice pay_invoice").await;
    assert_eq!(receives, Ok(Some(true)));
    let (receives, pays) = lacks("get_info make_invoice pay_invoice").await;
    assert!(receives.is_err() && pays.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_wrong_answer_about_an_invoice_is_an_error() {
    let (set, wallet, _) = Set::connected().await;
    set.relay.inner.careless.store(true, Ordering::SeqCst);
    let asked = || request(10_000, Description::Hashed(b"a test".to_vec()));
    for (fault, kind) in [
        (Fault::OtherAmount, NodeErrorKind::BadAnswer),
        (Fault::OtherHash, NodeErrorKind::BadAnswer),
        (Fault::OtherMethod, NodeErrorKind::BadAnswer),
        (Fault::Neither, NodeErrorKind::BadAnswer),
        (Fault::Garbage, NodeErrorKind::BadAnswer),
        (Fault::Undecryptable, NodeErrorKind::BadAnswer),
        (Fault::Error("INTERNAL"), NodeErrorKind::Refused),
        (Fault::Error("A_NEW_CODE"), NodeErrorKind::Refused),
        (Fault::Silent, NodeErrorKind::Unreachable),
        (Fault::Forged, NodeErrorKind::Unreachable),
    ] {
        set.receiver.fault("make_invoice", fault);
        let error = wallet.create_invoice(asked()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
    }
    set.receiver.honest();
    let invoice = wallet.create_invoice(asked()).await.unwrap();
    assert!(matches!(invoice.description(), InvoiceDescription::Hash(_)));
    set.receiver.fault("lookup_invoice", Fault::OtherHash);
    let error = wallet
        .lookup_invoice(invoice.payment_hash())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::BadAnswer);
    for code in ["INTERNAL", "RATE_LIMITED"] {
        set.receiver.fault("lookup_invoice", Fault::Error(code));
        let error = wallet
            .lookup_invoice(invoice.payment_hash())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::Refused, "{error}");
    }
}

#[tokio::test]
async fn a_preimage_or_a_payment_is_no_settlement_of_an_invoice() {
    for states in [true, false] {
        let options = Options {
            tells_preimages: true,
            states,
            ..Options::default()
        };
        let set = Set::with(options).await;
        let wallet = open(&set.receiver.url).await.unwrap();
        let (unpaid, sent) = (
            invoice(&wallet, 10, 60).await,
            invoice(&wallet, 10, 60).await,
        );
        let status = wallet.lookup_invoice(unpaid.payment_hash()).await.unwrap();
        assert_eq!(status, InvoiceStatus::Open);
        // A settled payment from this wallet, with the hash that was asked for.
        crate::pays(&wallet, &sent).await;
        let status = wallet.lookup_invoice(sent.payment_hash()).await.unwrap();
        assert_eq!(status, InvoiceStatus::Unknown);
        set.ledger.settle(unpaid.payment_hash());
        let status = wallet.lookup_invoice(unpaid.payment_hash()).await.unwrap();
        assert_eq!(status, InvoiceStatus::Settled);
    }
}

/// The time is paused, so that no test waits for the delay before the next attempt.
#[tokio::test(start_paused = true)]
async fn a_relay_that_was_down_is_used_again_and_requests_wait_for_it() {
    let (set, wallet, _) = Set::connected().await;
    let before = invoice(&wallet, 10, 600).await;
    set.relay.kill().await;
    let error = wallet
        .lookup_invoice(before.payment_hash())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Unreachable, "{error}");
    set.relay.inner.careless.store(true, Ordering::SeqCst);
    let mut settlements = wallet.settlements();
    let asked = wallet.lookup_invoice(before.payment_hash());
    let (status, ()) = tokio::join!(asked, set.relay.up());
    assert_eq!(status.unwrap(), InvoiceStatus::Open);
    set.receiver
        .forge_notification(tower_x402::PaymentHash::from_bytes([1; 32]));
    set.ledger.settle(before.payment_hash());
    assert_eq!(settlements.next().await, Some(before.payment_hash()));

    // Ended subscriptions are begun anew, on a new connection.
    let connections = set.relay.inner.connections.load(Ordering::SeqCst);
    set.relay
        .inner
        .ends_subscriptions
        .store(true, Ordering::SeqCst);
    set.relay.kill().await;
    set.relay.up().await;
    while set.relay.inner.connections.load(Ordering::SeqCst) < connections + 3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    set.relay
        .inner
        .ends_subscriptions
        .store(false, Ordering::SeqCst);
    invoice(&wallet, 10, 60).await;
}

#[tokio::test(start_paused = true)]
async fn a_wallet_without_notifications_is_polled_and_one_without_a_list_is_not() {
    let options = Options {
        notifies: false,
        ..Options::default()
    };
    let set = Set::with(options.clone()).await;
    let wallet = open(&set.receiver.url).await.unwrap();
    let mut invoices = Vec::new();
    for _ in 0..3 {
        invoices.push(invoice(&wallet, 10, 600).await);
    }
    let mut settlements = wallet.settlements();
    for invoice in &invoices {
        set.receiver
            .fault("list_transactions", Fault::Error("RATE_LIMITED"));
        let settle = async {
            while set.receiver.calls("list_transactions").is_empty() {
                tokio::task::yield_now().await;
            }
            set.receiver.honest();
            set.ledger.settle(invoice.payment_hash());
        };
        let (next, ()) = tokio::join!(settlements.next(), settle);
        assert_eq!(next, Some(invoice.payment_hash()));
    }
    for call in set.receiver.calls("list_transactions") {
        assert_eq!(
            call["limit"], 20,
            "a longer list may not fit into a message"
        );
    }
    let methods = "get_info make_invoice lookup_invoice";
    let service = Service::start(&set.relay, &set.ledger, Options { methods, ..options });
    let wallet = open(&service.url).await.unwrap();
    assert_eq!(wallet.settlements().next().await, None);
    assert!(ALL.contains(methods));
}
