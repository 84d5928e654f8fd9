//! Relays that repeat, flood or keep silent, and wallets that answer the wrong question.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use nostr::{Kind, Timestamp};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_tungstenite::accept_async;
use tower_x402::lightning::{
    ConnectErrorKind, InvoiceStatus, NodeErrorKind, Payer as _, Receiver as _,
};

use super::{Set, open, options::Fault, options::Options};
use crate::{LIMITS, invoice, preimage};

#[tokio::test]
async fn an_answer_counts_once_and_only_for_the_request_that_it_names() {
    for fault in [Fault::Silent, Fault::OtherRequest] {
        let (set, wallet, _) = Set::connected().await;
        let (first, second) = (
            invoice(&wallet, 10, 600).await,
            invoice(&wallet, 10, 600).await,
        );
        let mut events = set.relay.inner.events.subscribe();
        let open = wallet.lookup_invoice(first.payment_hash()).await.unwrap();
        assert_eq!(open, InvoiceStatus::Open);
        let answer = loop {
            let event = events.recv().await.unwrap();
            if event.kind == Kind::WalletConnectResponse {
                break event;
            }
        };
        set.receiver.fault("lookup_invoice", fault);
        let mut settlements = wallet.settlements();
        let mut asked = Box::pin(wallet.lookup_invoice(first.payment_hash()));
        assert!((&mut asked).now_or_never().is_none());
        while set.receiver.calls("lookup_invoice").len() < 3 {
            tokio::task::yield_now().await;
        }
        for _ in 0..2 {
            set.relay.publish(answer.clone());
        }
        // What comes after the repeated answers has arrived.
        set.ledger.settle(second.payment_hash());
        assert_eq!(settlements.next().await, Some(second.payment_hash()));
        assert!((&mut asked).now_or_never().is_none(), "{fault:?}");
        set.receiver.honest();
        let status = wallet.lookup_invoice(second.payment_hash()).await.unwrap();
        assert_eq!(status, InvoiceStatus::Settled);
        assert!((&mut asked).now_or_never().is_none(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_payment_during_which_a_relay_sends_too_much_is_in_doubt_and_found() {
    let (set, receiver, payer) = Set::connected().await;
    let invoice = invoice(&receiver, 21, 600).await;
    set.payer.fault("pay_invoice", Fault::Silent);
    let flood = async {
        let mut settled = set.ledger.settled.subscribe();
        let paid = settled.wait_for(|settled| !settled.is_empty());
        paid.await.unwrap();
        set.payer.publish_too_much();
    };
    // Without a limit of messages there would be no answer within the time of a payment.
    let (error, ()) = tokio::join!(payer.pay(&invoice, LIMITS), flood);
    let error = error.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Unreachable, "{error}");
    assert!(error.may_have_paid());
    set.payer.honest();
    let found = payer.lookup_payment(invoice.payment_hash()).await.unwrap();
    preimage(&invoice, found);
    assert_eq!(set.payer.calls("pay_invoice").len(), 1);
}

#[tokio::test]
async fn a_notification_counts_if_money_came_in_whatever_its_date() {
    let (set, wallet, _) = Set::connected().await;
    let mut settlements = wallet.settlements();
    let (other, settled) = (
        invoice(&wallet, 10, 600).await,
        invoice(&wallet, 10, 600).await,
    );
    let (now, distant) = (Timestamp::now(), Timestamp::from(u64::MAX / 2));
    let hash = other.payment_hash().to_string();
    for (kind, state) in [
        ("outgoing", "settled"),
        ("incoming", "pending"),
        ("incoming", "accepted"),
        ("incoming", "failed"),
        ("incoming", "expired"),
        ("incoming", "a new state"),
    ] {
        let transaction = json!({ "type": kind, "state": state, "payment_hash": hash });
        set.receiver.notify(&transaction, now);
    }
    for wrong in [
        json!({ "payment_hash": "ab" }),
        json!({ "payment_hash": 7 }),
        json!({ "payment_hash": hash, "settled_at": -1 }),
        json!([hash]),
    ] {
        set.receiver.notify(&wrong, now);
    }
    let hash = settled.payment_hash().to_string();
    let transaction = json!({ "type": "incoming", "state": "settled", "payment_hash": hash, "settled_at": u64::MAX });
    for at in [distant, now, now] {
        set.receiver.notify(&transaction, at);
        assert_eq!(settlements.next().await, Some(settled.payment_hash()));
    }
    // Only a lookup tells whether an invoice is settled.
    let status = wallet.lookup_invoice(settled.payment_hash()).await.unwrap();
    assert_eq!(status, InvoiceStatus::Open);
}

/// A relay that takes connections, and perhaps WebSockets, and says nothing.
async fn silent(speaks: bool) -> (String, JoinSet<()>) {
    async fn keep(stream: TcpStream, speaks: bool) {
        if speaks {
            let mut socket = accept_async(stream).await.unwrap();
            while let Some(Ok(_)) = socket.next().await {}
        } else {
            let _open = stream;
            std::future::pending().await
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(keep(stream, speaks));
        }
    });
    (url, tasks)
}

/// The time is paused, so that no test waits for an answer that does not come.
#[tokio::test(start_paused = true)]
async fn a_relay_that_never_answers_is_given_up_and_another_is_used() {
    let set = Set::with(Options::default()).await;
    let plain = &set.receiver.url;
    for speaks in [false, true] {
        let (url, _tasks) = silent(speaks).await;
        let only = plain.replace(&url_encoded(&set.relay.url), &url);
        let opened = timeout(Duration::from_secs(60), open(&only)).await;
        let error = opened.expect("it is given up").unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains(&url), "{error}");
        let both = plain.replacen('?', &format!("?relay={url}&"), 1);
        invoice(&open(&both).await.unwrap(), 10, 600).await;
    }
}

fn url_encoded(url: &str) -> String {
    url.replace(':', "%3A").replace('/', "%2F")
}
