//! A server that speaks the REST interface of LND 0.21, as it was seen to answer.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower_x402::{Invoice, PaymentHash};

use super::{
    Answer, Asked, Protocol, Server, Tls,
    ledger::{Entry, Ledger, Outgoing, Pays, What},
};

/// The fee of each payment, in millisatoshi.
const FEE: u64 = 7;

pub(crate) struct FakeLnd {
    pub(crate) ledger: Ledger,
    /// The error that every call answers.
    pub(crate) fault: Mutex<Option<Value>>,
    listeners: Mutex<Vec<mpsc::UnboundedSender<String>>>,
    state: Mutex<&'static str>,
    is_unsynced: AtomicBool,
    has_no_inbound: AtomicBool,
    /// The invoice that is told in more than a mebibyte.
    long: Mutex<Option<PaymentHash>>,
}

impl FakeLnd {
    pub(crate) async fn start() -> (Arc<Self>, Server) {
        Self::with(None).await
    }

    pub(crate) async fn with(tls: Option<Tls>) -> (Arc<Self>, Server) {
        let node = Arc::new(Self {
            ledger: Ledger::default(),
            fault: Mutex::new(None),
            listeners: Mutex::default(),
            state: Mutex::new("SERVER_ACTIVE"),
            is_unsynced: AtomicBool::new(false),
            has_no_inbound: AtomicBool::new(false),
            long: Mutex::default(),
        });
        let server = Server::start(node.clone(), tls).await;
        (node, server)
    }

    /// Makes every call fail with a text of LND.
    pub(crate) fn fails(&self, message: impl Into<Option<&'static str>>) {
        let fault = message.into().map(|message| error(2, message));
        *self.fault.lock().unwrap() = fault;
    }

    /// Sets the state that `/v1/state` tells.
    pub(crate) fn is_in(&self, state: &'static str) {
        *self.state.lock().unwrap() = state;
    }

    pub(crate) fn is_synced(&self, is_synced: bool) {
        self.is_unsynced.store(!is_synced, Ordering::Relaxed);
    }

    pub(crate) fn has_inbound(&self, has_inbound: bool) {
        self.has_no_inbound.store(!has_inbound, Ordering::Relaxed);
    }

    /// Tells an invoice in more than a mebibyte.
    pub(crate) fn tells_at_length(&self, hash: PaymentHash) {
        *self.long.lock().unwrap() = Some(hash);
    }

    /// What LND answers to every other call in its state.
    fn refusal(&self) -> Option<Value> {
        let text = match *self.state.lock().unwrap() {
            "LOCKED" => "wallet locked, unlock it to enable full RPC access",
            "NON_EXISTING" => "wallet not created, create one to enable full RPC access",
            "UNLOCKED" => {
                "the RPC server is in the process of starting up, but not yet ready to accept calls"
            }
            "WAITING_TO_START" => "waiting to start, RPC services not available",
            _ => return self.fault.lock().unwrap().clone(),
        };
        Some(error(2, text))
    }

    /// Ends the streams of settlements.
    pub(crate) fn hang_up(&self) {
        self.listeners.lock().unwrap().clear();
    }

    /// Whether a stream of settlements is open.
    pub(crate) fn is_listened_to(&self) -> bool {
        !self.listeners.lock().unwrap().is_empty()
    }

    fn make(&self, body: &Value) -> Answer {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let what = match text("description_hash") {
            "" => What::Text(text("memo").to_owned()),
            hash => What::Hash(from_base64(hash).try_into().unwrap()),
        };
        let msat = text("value_msat").parse().unwrap();
        let invoice = self
            .ledger
            .make(msat, what, text("expiry").parse().unwrap());
        ok(&json!({ "r_hash": "", "payment_request": invoice, "add_index": "1" }))
    }

    fn send(&self, body: &Value) -> Answer {
        let Ok(invoice) = Invoice::parse(body["payment_request"].as_str().unwrap()) else {
            return Answer::Text(500, error(2, "invalid bech32 string").to_string());
        };
        let hash = invoice.payment_hash();
        let known = self.ledger.0.lock().unwrap().entries.contains_key(&hash);
        if !known {
            return Answer::Text(
                500,
                error(2, "invoice not for current active network").to_string(),
            );
        }
        if self.outgoing(hash).is_none() && self.ledger.has_expired(hash) {
            let text = "invoice expired. Valid until 2026-01-01 00:00:00 +0000 UTC";
            return Answer::Text(500, error(2, text).to_string());
        }
        let limit = body["fee_limit_msat"].as_str().unwrap();
        let too_low = limit.parse::<u64>().unwrap() < FEE;
        if self.outgoing(hash).is_none() && too_low {
            let pays = std::mem::replace(&mut self.ledger.0.lock().unwrap().pays, Pays::Fail);
            self.ledger.pay(hash);
            self.ledger.pays(pays);
        } else if !self.ledger.pay(hash) {
            let text = "invoice is already paid";
            return Answer::Text(409, json!({ "error": error(6, text) }).to_string());
        }
        let (sender, lines) = mpsc::unbounded_channel();
        let frame = |status: &str, preimage: &str| {
            let reason = match status {
                "FAILED" => "FAILURE_REASON_NO_ROUTE",
                _ => "FAILURE_REASON_NONE",
            };
            json!({ "result": {
                "payment_hash": self.ledger.named(hash).to_string(), "payment_preimage": preimage, "status": status, "fee_msat": FEE.to_string(), "failure_reason": reason
            } })
            .to_string()
        };
        let zeros = "0".repeat(64);
        sender.send(frame("IN_FLIGHT", &zeros)).unwrap();
        match self.outgoing(hash) {
            Some(Outgoing::Failed) => sender.send(frame("FAILED", &zeros)).unwrap(),
            Some(Outgoing::Paid) => {
                let preimage = self.ledger.told_preimage(hash).unwrap_or_default();
                sender.send(frame("SUCCEEDED", &preimage)).unwrap();
                self.notify(hash);
            }
            _ => std::mem::forget(sender),
        }
        Answer::Lines(lines)
    }

    fn track(&self, hash: &str, wait: bool) -> Answer {
        let bytes: [u8; 32] = from_base64(hash).try_into().unwrap();
        let hash = PaymentHash::from_bytes(bytes);
        let Some(outgoing) = self.outgoing(hash) else {
            let text = "payment isn't initiated";
            return Answer::Text(404, json!({ "error": error(5, text) }).to_string());
        };
        let (status, preimage) = match outgoing {
            Outgoing::Failed => ("FAILED", "0".repeat(64)),
            Outgoing::InFlight => ("IN_FLIGHT", "0".repeat(64)),
            Outgoing::Paid => (
                "SUCCEEDED",
                self.ledger.told_preimage(hash).unwrap_or_default(),
            ),
        };
        let (sender, lines) = mpsc::unbounded_channel();
        let frame = json!({ "result": {
            "payment_hash": self.ledger.named(hash).to_string(), "payment_preimage": preimage, "status": status, "fee_msat": FEE.to_string()
        } });
        if !(wait && outgoing == Outgoing::InFlight) {
            sender.send(frame.to_string()).unwrap();
        }
        // The stream of a payment that is not over stays open.
        if outgoing == Outgoing::InFlight {
            std::mem::forget(sender);
        }
        Answer::Lines(lines)
    }

    fn outgoing(&self, hash: PaymentHash) -> Option<Outgoing> {
        self.ledger.0.lock().unwrap().entries.get(&hash)?.outgoing
    }

    fn lookup(&self, hash: &str) -> Answer {
        let hash = PaymentHash::from_hex(hash).unwrap();
        let named = self.ledger.named(hash);
        let state = self.ledger.0.lock().unwrap();
        match state.entries.get(&hash) {
            Some(entry) => {
                let mut found = self.invoice(entry);
                found["r_hash"] = base64(named.as_bytes()).into();
                ok(&found)
            }
            None => Answer::Text(404, error(5, "unable to locate invoice").to_string()),
        }
    }

    fn list(&self, query: &str) -> Answer {
        let state = self.ledger.0.lock().unwrap();
        let count = query.rsplit_once("num_max_invoices=").unwrap().1;
        let mut newest: Vec<_> = state.entries.values().collect();
        newest.sort_by_key(|entry| std::cmp::Reverse(entry.made));
        newest.truncate(count.parse().unwrap());
        let all: Vec<_> = newest
            .into_iter()
            .map(|entry| self.invoice(entry))
            .collect();
        ok(&json!({ "invoices": all }))
    }

    fn subscribe(&self, query: &str) -> Answer {
        let (sender, lines) = mpsc::unbounded_channel();
        if let Some(after) = query.strip_prefix("settle_index=") {
            let after: u64 = after.parse().unwrap();
            let state = self.ledger.0.lock().unwrap();
            let mut later: Vec<_> = state
                .entries
                .values()
                .filter(|entry| entry.settled > Some(after))
                .collect();
            later.sort_by_key(|entry| entry.settled);
            for entry in later {
                sender
                    .send(json!({ "result": self.invoice(entry) }).to_string())
                    .unwrap();
            }
        }
        self.listeners.lock().unwrap().push(sender);
        Answer::Lines(lines)
    }

    fn invoice(&self, entry: &Entry) -> Value {
        let state = match entry.settled {
            Some(_) => "SETTLED",
            None => "OPEN",
        };
        let hash = entry.invoice.payment_hash();
        let memo = match *self.long.lock().unwrap() == Some(hash) {
            true => "x".repeat(1_500_000),
            false => String::new(),
        };
        json!({
            "memo": memo,
            "r_hash": base64(entry.invoice.payment_hash().as_bytes()),
            // A paid invoice tells it, and an open one too.
            "r_preimage": base64(&(0..32).map(|_| 1).collect::<Vec<u8>>()),
            "state": state,
            "creation_date": entry.invoice.created_at().as_unix_seconds().to_string(),
            "expiry": entry.invoice.expiry().as_secs().to_string(),
            "settle_index": entry.settled.unwrap_or(0).to_string(),
            "settle_date": entry.settled_at.to_string(),
        })
    }

    fn notify(&self, hash: PaymentHash) {
        let state = self.ledger.0.lock().unwrap();
        let line = json!({ "result": self.invoice(&state.entries[&hash]) }).to_string();
        for listener in self.listeners.lock().unwrap().iter() {
            let _ = listener.send(line.clone());
        }
    }
}

impl Protocol for FakeLnd {
    fn answer(&self, asked: &Asked) -> Answer {
        if asked.path == "/v1/state" {
            assert!(!asked.headers.contains_key("grpc-metadata-macaroon"));
            return ok(&json!({ "state": *self.state.lock().unwrap() }));
        }
        let macaroon = asked.headers.get("grpc-metadata-macaroon").unwrap();
        assert!(macaroon.to_str().unwrap().starts_with("0201"));
        if let Some(fault) = self.refusal() {
            return Answer::Text(500, fault.to_string());
        }
        let body = || serde_json::from_slice(&asked.body).unwrap();
        let path = asked.path.as_str();
        match (asked.method.as_str(), path) {
            ("POST", "/v1/invoices") => self.make(&body()),
            ("GET", "/v1/invoices") => self.list(&asked.query),
            ("GET", "/v1/invoices/subscribe") => self.subscribe(&asked.query),
            ("GET", "/v1/getinfo") => {
                let key = secp256k1::SecretKey::from_slice(&[7; 32]).unwrap();
                let key = key.public_key(secp256k1::SECP256K1).to_string();
                let synced = !self.is_unsynced.load(Ordering::Relaxed);
                ok(&json!({
                    "identity_pubkey": key, "synced_to_chain": synced, "chains": [{ "chain": "bitcoin", "network": "regtest" }]
                }))
            }
            ("GET", "/v1/balance/channels") => {
                let none = self.has_no_inbound.load(Ordering::Relaxed);
                let msat = if none { "0" } else { "2000000000" };
                ok(&json!({ "balance": "0", "remote_balance": { "sat": "0", "msat": msat } }))
            }
            ("POST", "/v2/router/send") => self.send(&body()),
            ("GET", path) => match (
                path.strip_prefix("/v1/invoice/"),
                path.strip_prefix("/v2/router/track/"),
            ) {
                (Some(hash), _) => self.lookup(hash),
                (_, Some(hash)) => self.track(hash, asked.query == "no_inflight_updates=true"),
                _ => panic!("{path} is not there"),
            },
            _ => panic!("{path} is not there"),
        }
    }
}

fn ok(body: &Value) -> Answer {
    Answer::Text(200, body.to_string())
}

fn error(code: i64, message: &str) -> Value {
    json!({ "code": code, "message": message, "details": [] })
}

fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

fn from_base64(text: &str) -> Vec<u8> {
    let text = text.replace('-', "+").replace('_', "/");
    base64_simd::STANDARD.decode_to_vec(text).unwrap()
}
