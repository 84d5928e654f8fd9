//! Three nodes of LDK Node with two channels, on the bitcoind that `scripts/nodes up` starts. It names itself in
//! `X402_NODE_BITCOIND_RPC`, as `http://user:password@host:port`.

#[path = "../flow/buyer.rs"]
mod buyer;
mod held;
#[path = "../nodes/measured.rs"]
mod measured;
#[path = "../nodes/selling.rs"]
#[allow(dead_code, reason = "the tests in `tests/nodes` use all of it")]
mod selling;
#[path = "../flow/site.rs"]
#[allow(dead_code, reason = "the tests in `tests/flow` use all of it")]
mod site;

use std::{net::TcpListener, path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::FutureExt as _;
use ldk_node::{
    Builder, Event, Node,
    bitcoin::{Network as BitcoinNetwork, secp256k1::PublicKey},
    lightning::ln::msgs::SocketAddress,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tower_x402::{
    Amount, Invoice, Network,
    lightning::{
        Description, InvoiceRequest, InvoiceStatus, KeyCustody, LdkNode, Lie, LocalNode,
        NodeErrorKind, PayLimits, Payer, PaymentStatus, Receiver, conformance,
    },
};

use self::held::a_held_payment_is_in_flight_after_a_restart_and_made_once;

const LIMITS: PayLimits = PayLimits::new(Amount::from_sat(10), Duration::from_secs(30));

/// How long the chain and the nodes may take for each step.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone)]
struct Bitcoind {
    host: String,
    port: u16,
    user: String,
    password: String,
}

impl Bitcoind {
    fn of(url: &str) -> Self {
        let rest = url.strip_prefix("http://").expect("an http URL");
        let (user, host) = rest.split_once('@').expect("a user and a host");
        let (user, password) = user.split_once(':').expect("a user and a password");
        let (host, port) = host
            .trim_end_matches('/')
            .split_once(':')
            .expect("a host and a port");
        Self {
            host: host.to_owned(),
            port: port.parse().expect("a port"),
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        let body = json!({ "id": 1, "method": method, "params": params }).to_string();
        let basic = STANDARD.encode(format!("{}:{}", self.user, self.password));
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {basic}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        let mut stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let mut body: Value = serde_json::from_str(body).expect("JSON");
        assert!(body["error"].is_null(), "{method}: {}", body["error"]);
        body["result"].take()
    }

    async fn mine(&self, blocks: u32, address: &str) {
        self.call("generatetoaddress", json!([blocks, address]))
            .await;
    }

    fn node(&self, folder: &Path, port: u16) -> Arc<Node> {
        let mut builder = Builder::new();
        builder
            .set_network(BitcoinNetwork::Regtest)
            .set_storage_dir_path(folder.to_str().unwrap().to_owned())
            .set_chain_source_bitcoind_rpc(
                self.host.clone(),
                self.port,
                self.user.clone(),
                self.password.clone(),
            );
        builder
            .set_listening_addresses(vec![address(port)])
            .unwrap();
        // Only a node with a name announces channels.
        builder.set_node_alias("a node".to_owned()).unwrap();
        let node = Arc::new(builder.build_with_fs_store().unwrap());
        node.start().unwrap();
        node
    }
}

fn address(port: u16) -> SocketAddress {
    SocketAddress::TcpIpV4 {
        addr: [127, 0, 0, 1],
        port,
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Handles events as an application does, beside the adapter.
fn handle_events(node: &Arc<Node>) -> JoinHandle<()> {
    let node = Arc::clone(node);
    tokio::spawn(async move {
        loop {
            let event: Event = node.next_event_async().await;
            drop(event);
            node.event_handled().unwrap();
        }
    })
}

async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is().await {
        assert!(started.elapsed() < PATIENCE, "waited too long for {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Funds the first node, and opens a channel to the second with money on both sides.
async fn open_channel(bitcoind: &Bitcoind, first: &Node, second: &Node, port: u16) {
    let to = first.onchain_payment().new_address().unwrap().to_string();
    bitcoind.mine(101, &to).await;
    until("the chain", async || {
        first.sync_wallets().unwrap();
        first.list_balances().spendable_onchain_balance_sats > 2_000_000
    })
    .await;
    let peer: PublicKey = second.node_id();
    first
        .open_announced_channel(peer, address(port), 1_000_000, Some(500_000_000), None)
        .unwrap();
    until("a channel", async || {
        bitcoind.mine(1, &to).await;
        first.sync_wallets().unwrap();
        second.sync_wallets().unwrap();
        let usable = |node: &Node, peer: PublicKey| {
            let channels = node.list_channels();
            let mut channels = channels.iter();
            channels.any(|channel| channel.counterparty_node_id == peer && channel.is_usable)
        };
        usable(first, peer) && usable(second, first.node_id())
    })
    .await;
}

async fn a_node_without_channels_says_that_it_can_receive_nothing(node: &Arc<Node>) {
    let receiver = LdkNode::builder(Arc::clone(node)).build().unwrap();
    let what = Description::Hashed(b"a test".to_vec());
    let request = InvoiceRequest::new(Amount::from_sat(21), what, Duration::from_secs(600));
    let error = receiver.create_invoice(request).await.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Refused);
    assert!(
        error.to_string().contains("open a channel to it"),
        "{error}"
    );
    until("the chain", async || receiver.ready().await.is_ok()).await;
}

/// Opens a channel to a third node, and pays that node.
async fn the_fee_of_a_hop_keeps_to_the_limit(
    bitcoind: &Bitcoind,
    payer: (&Node, &LdkNode),
    hop: &Node,
    folder: &Path,
) {
    let port = free_port();
    let third = bitcoind.node(folder, port);
    let events = handle_events(&third);
    open_channel(bitcoind, hop, &third, port).await;
    let to = hop.onchain_payment().new_address().unwrap().to_string();
    bitcoind.mine(6, &to).await;
    until("a route", async || {
        let graph = payer.0.network_graph();
        let known = graph.list_channels().into_iter().filter(|channel| {
            let channel = graph.channel(*channel);
            channel.is_some_and(|it| it.one_to_two.is_some() && it.two_to_one.is_some())
        });
        known.count() == 2
    })
    .await;
    until("the same chain", async || {
        let height = |node: &Node| node.status().current_best_block.height;
        height(payer.0) == height(&third) && height(hop) == height(&third)
    })
    .await;
    let receiver = LdkNode::builder(Arc::clone(&third)).build().unwrap();
    conformance::fee_limit(&receiver, payer.1).await;
    events.abort();
    let _ = events.await;
    third.stop().unwrap();
}

async fn invoice(node: &impl Receiver, seconds: u64) -> Invoice {
    let what = Description::Hashed(b"a test".to_vec());
    let expiry = Duration::from_secs(seconds);
    node.create_invoice(InvoiceRequest::new(Amount::from_sat(21), what, expiry))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_ldk_node_do_what_every_node_must() {
    let Ok(url) = std::env::var("X402_NODE_BITCOIND_RPC") else {
        let required = std::env::var("X402_REQUIRE_NODES").is_ok_and(|required| required == "1");
        assert!(
            !required,
            "X402_NODE_BITCOIND_RPC is not set: run scripts/nodes up"
        );
        eprintln!("skipped: X402_NODE_BITCOIND_RPC is not set. Run scripts/nodes up first.");
        return;
    };
    let bitcoind = Bitcoind::of(&url);
    let folder = tempfile::tempdir().unwrap();
    let (paying, receiving) = (
        folder.path().join("paying"),
        folder.path().join("receiving"),
    );
    let (first_port, port) = (free_port(), free_port());
    let (first, second) = (
        bitcoind.node(&paying, first_port),
        bitcoind.node(&receiving, port),
    );
    let events = [handle_events(&first), handle_events(&second)];
    a_node_without_channels_says_that_it_can_receive_nothing(&second).await;
    open_channel(&bitcoind, &first, &second, port).await;

    let payer = LdkNode::builder(Arc::clone(&first)).build().unwrap();
    let receiver = LdkNode::builder(Arc::clone(&second)).build().unwrap();
    let profile = Receiver::profile(&receiver);
    assert_eq!(
        (profile.network, profile.key_custody),
        (Network::Regtest, KeyCustody::Exclusive)
    );
    assert_eq!(profile.public_key, Some(second.node_id().serialize()));
    assert_eq!(profile.can_spend, Some(true));
    let shared = LdkNode::builder(Arc::clone(&second)).key_custody(KeyCustody::Shared);
    for (asked, kept) in [(Duration::ZERO, "10ms"), (Duration::MAX, "3600s")] {
        let text = format!("{:?}", shared.clone().poll_every(asked));
        assert!(text.contains(&format!("pause: {kept},")), "{text}");
    }
    let profile = Receiver::profile(&shared.build().unwrap());
    assert_eq!(profile.key_custody, KeyCustody::Shared);
    conformance::receiver(&receiver).await;
    conformance::payer(&receiver, &payer).await;
    // Money flows back too, so each is both.
    conformance::payer(&payer, &receiver).await;

    selling::sells_and_serves_once(receiver.clone(), payer.clone()).await;
    println!("ldk: paid over HTTP in three dialects and served once each");

    measured::measured("ldk", &receiver, &payer).await;
    foreign_invoices_are_not_paid(&receiver, &payer).await;

    let third = folder.path().join("third");
    the_fee_of_a_hop_keeps_to_the_limit(&bitcoind, (&first, &payer), &second, &third).await;

    // After a restart of the paying process the payment is found, and not made again.
    let paid = invoice(&receiver, 600).await;
    let PaymentStatus::Paid { preimage, .. } = payer.pay(&paid, LIMITS).await.unwrap() else {
        panic!("not paid")
    };
    let sent = first.list_payments().len();
    for events in events {
        events.abort();
        let _ = events.await;
    }
    let other = invoice(&receiver, 600).await;
    first.stop().unwrap();
    payer.ready().await.unwrap_err();
    let error = payer.pay(&other, LIMITS).await.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Unreachable);
    assert!(
        !error.may_have_paid() && error.to_string().contains("start"),
        "{error}"
    );
    drop((payer, first));
    let first = bitcoind.node(&paying, first_port);
    let payer = LdkNode::builder(Arc::clone(&first)).build().unwrap();
    for status in [
        payer.lookup_payment(paid.payment_hash()).await.unwrap(),
        payer.pay(&paid, LIMITS).await.unwrap(),
    ] {
        let PaymentStatus::Paid {
            preimage: again, ..
        } = status
        else {
            panic!("{status:?}")
        };
        assert_eq!(again.expose(), preimage.expose());
    }
    assert_eq!(first.list_payments().len(), sent);
    drop(payer);
    let restart = || bitcoind.node(&paying, first_port);
    let first =
        a_held_payment_is_in_flight_after_a_restart_and_made_once(first, &second, restart).await;
    println!("ldk: kept to a fee limit, and found a held payment after a restart");
    first.stop().unwrap();
    second.stop().unwrap();
}

async fn foreign_invoices_are_not_paid(receiver: &LdkNode, payer: &LdkNode) {
    let elsewhere = LocalNode::new();
    let unreachable = invoice(&elsewhere, 60).await;
    let status = payer.pay(&unreachable, LIMITS).await.unwrap();
    assert!(matches!(status, PaymentStatus::Failed), "{status:?}");
    elsewhere.lie(Lie::Network);
    let signet = invoice(&elsewhere, 60).await;
    let error = payer.pay(&signet, LIMITS).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected an invoice for regtest"),
        "{error}"
    );
    assert!(!error.may_have_paid());

    // What was received is no payment, and what was paid is no invoice.
    let paid = invoice(receiver, 600).await;
    payer.pay(&paid, LIMITS).await.unwrap();
    let status = receiver.lookup_payment(paid.payment_hash()).await.unwrap();
    assert!(matches!(status, PaymentStatus::Unknown), "{status:?}");
    let status = payer.lookup_invoice(paid.payment_hash()).await.unwrap();
    assert_eq!(status, InvoiceStatus::Unknown);

    // A time limit of zero leaves the payment to the node, and so does a caller that goes away.
    let slow = invoice(receiver, 600).await;
    let dropped = invoice(receiver, 600).await;
    assert!(payer.pay(&dropped, LIMITS).now_or_never().is_none());
    let no_time = PayLimits::new(Amount::ZERO, Duration::ZERO);
    let status = payer.pay(&slow, no_time).await.unwrap();
    assert!(
        matches!(status, PaymentStatus::InFlight | PaymentStatus::Paid { .. }),
        "{status:?}"
    );
    for invoice in [&slow, &dropped] {
        until("a payment", async || {
            let status = payer.lookup_payment(invoice.payment_hash()).await;
            matches!(status.unwrap(), PaymentStatus::Paid { .. })
        })
        .await;
    }
}
