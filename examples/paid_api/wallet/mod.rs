//! A wallet on HTTP: the part of LND's REST interface that L402 clients use. Any macaroon will do.
//!
//! One thing is not LND's: an invoice with a description hash is asked for by `unhashed_description`, the described bytes
//! in hex, because that is what a [`Receiver`] takes.

mod answer;
mod invoices;
mod number;
mod pay;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use serde_json::{Value, json};
use tower_x402::{
    Invoice, PaymentHash,
    lightning::{Payer, Receiver},
};

use self::answer::Failure;

/// How many invoices of its own the wallet remembers.
const REMEMBERED: usize = 10_000;

/// One node, seen as LND shows itself.
#[derive(Clone, Debug)]
pub(crate) struct Wallet {
    payer: Arc<dyn Payer>,
    receiver: Arc<dyn Receiver>,
    made: Arc<Mutex<Made>>,
}

/// The invoices that this wallet made, the oldest first, with their memos.
#[derive(Debug, Default)]
struct Made {
    invoices: HashMap<PaymentHash, (Invoice, String)>,
    order: VecDeque<PaymentHash>,
    count: u64,
}

/// The wallet of a node.
pub(crate) fn router(node: impl Payer + Receiver + Clone) -> Router {
    let wallet = Wallet { payer: Arc::new(node.clone()), receiver: Arc::new(node), made: Arc::default() };
    Router::new()
        .route("/v2/router/send", post(pay::send))
        .route("/v1/channels/transactions", post(pay::send_and_wait))
        .route("/v1/invoices", post(invoices::make))
        .route("/v1/invoice/{payment_hash}", get(invoices::look_up))
        .route("/v1/payreq/{invoice}", get(invoices::decode))
        .route("/v1/getinfo", get(about))
        .fallback(async || Failure::not_found())
        .method_not_allowed_fallback(async || Failure::method_not_allowed())
        .with_state(wallet)
}

async fn about(State(wallet): State<Wallet>) -> Json<Value> {
    let profile = wallet.receiver.profile();
    Json(json!({
        "version": concat!("tower-x402 ", env!("CARGO_PKG_VERSION"), ", pretend money"),
        "identity_pubkey": profile.public_key.map(const_hex::encode).unwrap_or_default(),
        "alias": "the wallet of paid_api",
        "num_pending_channels": 0,
        "num_active_channels": 1,
        "num_inactive_channels": 0,
        "num_peers": 1,
        "synced_to_chain": true,
        "synced_to_graph": true,
        "testnet": false,
        "chains": [{"chain": "bitcoin", "network": profile.network.as_str()}],
        "uris": [],
    }))
}

impl Made {
    /// Its place in the order of all that were made.
    fn remember(&mut self, invoice: Invoice, memo: String) -> u64 {
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.invoices.remove(&oldest);
        }
        self.order.push_back(invoice.payment_hash());
        self.invoices.insert(invoice.payment_hash(), (invoice, memo));
        self.count += 1;
        self.count
    }
}

impl Wallet {
    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
