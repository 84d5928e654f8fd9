//! A server that speaks the HTTP interface of phoenixd 0.8, as its documentation and its source say.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tower_x402::{Invoice, PaymentHash};

use super::{
    Answer, Asked, Protocol, Server, Tls,
    ledger::{Entry, Ledger, Outgoing, What},
};

pub(crate) const FULL: &str = "full/password";
pub(crate) const LIMITED: &str = "limited-password";

pub(crate) struct FakePhoenixd {
    pub(crate) ledger: Ledger,
    version: &'static str,
    /// The payment of which every page of its list is full.
    pub(crate) fills_pages: Mutex<Option<PaymentHash>>,
}

impl FakePhoenixd {
    pub(crate) async fn start() -> (Arc<Self>, Server) {
        Self::of("0.8.0-de6f8ae").await
    }

    pub(crate) async fn with(tls: Option<Tls>) -> (Arc<Self>, Server) {
        Self::of_with("0.8.0-de6f8ae", tls).await
    }

    pub(crate) async fn of(version: &'static str) -> (Arc<Self>, Server) {
        Self::of_with(version, None).await
    }

    async fn of_with(version: &'static str, tls: Option<Tls>) -> (Arc<Self>, Server) {
        let node = Arc::new(Self {
            ledger: Ledger::default(),
            version,
            fills_pages: Mutex::default(),
        });
        let server = Server::start(node.clone(), tls).await;
        (node, server)
    }

    fn create(&self, form: &HashMap<String, String>) -> Answer {
        let what = match (form.get("description"), form.get("descriptionHash")) {
            (Some(text), None) if text.chars().count() <= 128 => What::Text(text.clone()),
            (None, Some(hash)) => What::Hash(*PaymentHash::from_hex(hash).unwrap().as_bytes()),
            _ => return text(400, "Must provide either a description or descriptionHash"),
        };
        let sat: u64 = form["amountSat"].parse().unwrap();
        let invoice = self
            .ledger
            .make(sat * 1_000, what, form["expirySeconds"].parse().unwrap());
        ok(&json!({ "amountSat": sat, "paymentHash": "", "serialized": invoice }))
    }

    fn pay(&self, form: &HashMap<String, String>) -> Answer {
        let Some(invoice) = form.get("invoice") else {
            return text(400, "Missing parameter invoice");
        };
        let hash = Invoice::parse(invoice).unwrap().payment_hash();
        let failed = |reason| {
            ok(
                &json!({ "type": "payment_failed", "paymentHash": hash.to_string(), "reason": reason }),
            )
        };
        if !self.ledger.0.lock().unwrap().entries.contains_key(&hash) {
            return failed("recipient node cannot be reached");
        }
        if !self.ledger.pay(hash) {
            return failed("this invoice has already been paid");
        }
        match self.outgoing(hash) {
            Some(Outgoing::Paid) => ok(&json!({
                "type": "payment_sent", "recipientAmountSat": 21, "routingFeeSat": 4, "paymentId": "1", "paymentHash": self.ledger.named(hash).to_string(),
                "paymentPreimage": self.ledger.told_preimage(hash)
            })),
            Some(Outgoing::Failed) if self.ledger.has_expired(hash) => {
                failed("recipient rejected the payment")
            }
            Some(Outgoing::Failed) => failed("not enough funds in wallet to afford payment"),
            // It answers when the payment is over.
            _ => Answer::Lines({
                let (sender, lines) = tokio::sync::mpsc::unbounded_channel();
                std::mem::forget(sender);
                lines
            }),
        }
    }

    fn outgoing(&self, hash: PaymentHash) -> Option<Outgoing> {
        self.ledger.0.lock().unwrap().entries.get(&hash)?.outgoing
    }

    fn find_outgoing(&self, hash: &str) -> Answer {
        let hash = PaymentHash::from_hex(hash).unwrap();
        let Some(outgoing) = self.outgoing(hash) else {
            return text(404, "Not found");
        };
        let paid = outgoing == Outgoing::Paid;
        let preimage = paid.then(|| self.ledger.told_preimage(hash)).flatten();
        let completed = (outgoing != Outgoing::InFlight).then_some(1_790_000_000_000_u64);
        ok(&json!({
            "type": "outgoing_payment", "subType": "lightning", "paymentId": "1", "paymentHash": self.ledger.named(hash).to_string(), "preimage": preimage,
            "isPaid": paid, "sent": 25, "fees": 4_084, "completedAt": completed, "createdAt": 1_790_000_000_000_u64
        }))
    }

    fn list(&self, query: &str) -> Answer {
        let field = |name: &str| -> u64 {
            let found = query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            found.unwrap().parse().unwrap()
        };
        let state = self.ledger.0.lock().unwrap();
        let mut settled: Vec<_> = state
            .entries
            .values()
            .filter(|entry| entry.settled.is_some())
            .collect();
        settled.retain(|entry| entry.settled_at * 1_000 >= field("from"));
        settled.sort_by_key(|entry| std::cmp::Reverse(entry.settled));
        if let Some(hash) = &*self.fills_pages.lock().unwrap() {
            let page = vec![incoming(&state.entries[hash]); 100];
            return ok(&Value::Array(page));
        }
        let (skip, take) = (field("offset"), field("limit"));
        let page = settled
            .into_iter()
            .skip(usize::try_from(skip).unwrap())
            .take(usize::try_from(take).unwrap());
        ok(&Value::Array(page.map(incoming).collect()))
    }
}

impl Protocol for FakePhoenixd {
    fn answer(&self, asked: &Asked) -> Answer {
        let password = |password: &str| {
            let pair = base64_simd::STANDARD.encode_to_string(format!(":{password}"));
            asked.headers["authorization"] == format!("Basic {pair}")
        };
        let path = asked.path.strip_prefix("/node").unwrap_or(&asked.path);
        if !password(FULL) && (!password(LIMITED) || path == "/payinvoice") {
            return text(
                401,
                "Invalid authentication (use basic auth with the http password set in phoenix.conf)",
            );
        }
        let form = || form_urlencoded::parse(&asked.body).into_owned().collect();
        match (asked.method.as_str(), path) {
            ("GET", "/getinfo") => {
                let key = secp256k1::SecretKey::from_slice(&[7; 32]).unwrap();
                let key = key.public_key(secp256k1::SECP256K1).to_string();
                ok(
                    &json!({ "nodeId": key, "channels": [], "chain": "regtest", "version": self.version }),
                )
            }
            ("POST", "/createinvoice") => self.create(&form()),
            ("POST", "/payinvoice") => self.pay(&form()),
            ("GET", "/payments/incoming") => self.list(&asked.query),
            ("GET", path) => {
                let hash = path.rsplit('/').next().unwrap();
                if path.starts_with("/payments/outgoingbyhash/") {
                    return self.find_outgoing(hash);
                }
                let hash = PaymentHash::from_hex(hash).unwrap();
                let (named, over) = (self.ledger.named(hash), self.ledger.has_expired(hash));
                let state = self.ledger.0.lock().unwrap();
                let Some(entry) = state.entries.get(&hash) else {
                    return text(404, "Not found");
                };
                let mut found = incoming(entry);
                found["paymentHash"] = named.to_string().into();
                found["isExpired"] = (over && entry.settled.is_none()).into();
                ok(&found)
            }
            _ => panic!("{path} is not there"),
        }
    }
}

fn incoming(entry: &Entry) -> Value {
    json!({
        "type": "incoming_payment", "subType": "lightning", "paymentHash": entry.invoice.payment_hash().to_string(),
        "preimage": entry.preimage, "isPaid": entry.settled.is_some(), "isExpired": false, "receivedSat": 21, "fees": 0
    })
}

fn ok(body: &Value) -> Answer {
    Answer::Text(200, body.to_string())
}

fn text(status: u16, text: &str) -> Answer {
    Answer::Text(status, text.to_owned())
}
