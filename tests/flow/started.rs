//! A server of another project, which this test program starts and gives invoices to.

use std::{process::Stdio, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};
use tower_x402::{
    Amount, Devnet, DialectName, Network, PaymentHash,
    lightning::{Description, DevnetNode, InvoiceRequest, InvoiceStatus, Receiver as _},
};

use crate::{
    purchase::{Buyer, PRICE, Purchase},
    site::{Client, Place},
};

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server, with two Lightning nodes: it makes invoices at one, and the other pays them.
pub(crate) struct Started {
    pub(crate) client: Client,
    pub(crate) origin: String,
    devnet: Devnet,
    _process: Child,
}

impl Started {
    /// Starts the server whose command is in a variable. Without it, a test says so and does
    /// nothing, unless `X402_REQUIRE_SERVERS=1`.
    pub(crate) async fn by(variable: &str) -> Option<Self> {
        let Ok(command) = std::env::var(variable) else {
            assert!(
                std::env::var("X402_REQUIRE_SERVERS").as_deref() != Ok("1"),
                "{variable} is not set: run scripts/interop_servers"
            );
            println!("skipped: {variable} is not set, run scripts/interop_servers");
            return None;
        };
        let devnet = Devnet::start().await.unwrap();
        let node = devnet.server();
        let place = Place::free().await;
        let invoices = place.origin.clone();
        let payee = const_hex::encode(node.profile().public_key.unwrap());
        place.serve(
            Router::new()
                .route("/", post(make))
                .route("/{payment_hash}", get(look_up))
                .with_state(node),
        );
        let mut process = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .env("INVOICES", invoices)
            .env("NETWORK", Network::Regtest.caip2())
            .env("PAYTO", payee)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let origin = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(origin) = line.strip_prefix("> ") {
                    return origin.to_owned();
                }
            }
            panic!("{command}: it ended without an address")
        };
        let origin = tokio::time::timeout(PATIENCE, origin).await.unwrap();
        Some(Self {
            client: Client::new(),
            origin,
            devnet,
            _process: process,
        })
    }

    /// A client that pays from the other node, in this dialect.
    pub(crate) async fn buyer(&self, dialect: DialectName) -> Buyer {
        Buyer::new(self.devnet.client(), dialect).await
    }

    /// Buys once. The price leaves our node and reaches the server's.
    pub(crate) async fn sells_to(&self, buyer: &Buyer) -> Purchase {
        let (payer, receiver) = (self.devnet.client(), self.devnet.server());
        let (had, spent) = (payer.spendable(), buyer.spent());
        let bought = buyer.buy(&self.origin).await;
        assert_eq!(had.checked_sub(payer.spendable()), Some(PRICE));
        assert_eq!(buyer.spent().checked_sub(spent), Some(PRICE));
        let status = receiver.lookup_invoice(bought.payment_hash()).await;
        assert_eq!(status.unwrap(), InvoiceStatus::Settled);
        bought
    }
}

/// An order for an invoice, with a description or with the bytes to hash, in hex.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    msat: u64,
    seconds: u64,
    #[serde(flatten)]
    description: What,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Hashed(String),
    Text(String),
}

async fn make(State(node): State<DevnetNode>, body: Bytes) -> Json<Value> {
    let order: Order = serde_json::from_slice(&body).unwrap();
    let description = match order.description {
        What::Hashed(hex) => Description::Hashed(const_hex::decode(hex).unwrap()),
        What::Text(text) => Description::Text(text),
    };
    let amount = Amount::from_msat(order.msat);
    let expiry = Duration::from_secs(order.seconds);
    let request = InvoiceRequest::new(amount, description, expiry);
    let invoice = node.create_invoice(request).await.unwrap();
    let payment_hash = invoice.payment_hash().to_string();
    Json(json!({ "invoice": invoice.as_str(), "paymentHash": payment_hash }))
}

async fn look_up(State(node): State<DevnetNode>, Path(payment_hash): Path<String>) -> Json<Value> {
    let payment_hash = PaymentHash::from_hex(&payment_hash).unwrap();
    let status = node.lookup_invoice(payment_hash).await.unwrap();
    Json(json!({ "settled": status == InvoiceStatus::Settled }))
}
