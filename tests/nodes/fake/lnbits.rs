//! A server that speaks the HTTP interface of LNbits 1.6, as it was seen to answer, with two wallets.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tower_x402::{Invoice, PaymentHash};

use super::{
    Answer, Asked, Protocol, Server, Tls,
    ledger::{Entry, Ledger, Outgoing, What},
};

/// The keys of the wallet that receives.
pub(crate) const ADMIN: &str = "receiver-admin-key";
pub(crate) const INVOICE: &str = "receiver-invoice-key";

/// The key of the wallet that pays.
pub(crate) const PAYER: &str = "payer-admin-key";

#[derive(Default)]
pub(crate) struct FakeLnbits {
    pub(crate) ledger: Ledger,
    /// Tells the preimage of an unpaid invoice to everybody, as versions before 1.6 do.
    pub(crate) tells_everybody: AtomicBool,
    /// Does not know any key any more.
    pub(crate) forgot_keys: AtomicBool,
    /// The wallet that receives pays its invoices itself.
    pub(crate) pays_itself: AtomicBool,
}

impl FakeLnbits {
    pub(crate) async fn start() -> (Arc<Self>, Server) {
        Self::with(None).await
    }

    pub(crate) async fn with(tls: Option<Tls>) -> (Arc<Self>, Server) {
        let node = Arc::new(Self::default());
        let server = Server::start(node.clone(), tls).await;
        (node, server)
    }

    fn create(&self, body: &Value) -> Answer {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let what = match (text("unhashed_description"), text("description_hash")) {
            ("", "") if text("memo").is_empty() => What::Text("LNbits".to_owned()),
            ("", "") => What::Text(text("memo").to_owned()),
            ("", hash) => What::Hash(*PaymentHash::from_hex(hash).unwrap().as_bytes()),
            (unhashed, _) => {
                let digits = unhashed
                    .as_bytes()
                    .chunks(2)
                    .map(|digits| std::str::from_utf8(digits).unwrap());
                let bytes: Vec<u8> = digits
                    .map(|digits| u8::from_str_radix(digits, 16).unwrap())
                    .collect();
                What::Hash(Sha256::digest(bytes).into())
            }
        };
        assert_eq!(body["unit"], "sat");
        let msat = body["amount"].as_u64().unwrap() * 1_000;
        let invoice = self
            .ledger
            .make(msat, what, body["expiry"].as_u64().unwrap());
        let Ok(parsed) = Invoice::parse(&invoice) else {
            return Answer::Text(201, json!({ "bolt11": invoice }).to_string());
        };
        let state = self.ledger.0.lock().unwrap();
        let mut payment = incoming(&state.entries[&parsed.payment_hash()]);
        payment["preimage"] = state.entries[&parsed.payment_hash()]
            .preimage
            .clone()
            .into();
        Answer::Text(201, payment.to_string())
    }

    fn pay(&self, body: &Value) -> Answer {
        let failed = |detail, status| {
            Answer::Text(
                520,
                json!({ "detail": detail, "status": status }).to_string(),
            )
        };
        let hash = Invoice::parse(body["bolt11"].as_str().unwrap())
            .unwrap()
            .payment_hash();
        if !self.ledger.0.lock().unwrap().entries.contains_key(&hash) {
            return failed("Insufficient balance.", "failed");
        }
        let named = self.ledger.named(hash).to_string();
        let began = self.ledger.pay(hash);
        let state = self.ledger.0.lock().unwrap();
        match state.entries[&hash].outgoing {
            Some(Outgoing::InFlight) if !began => failed("Payment is still pending.", "pending"),
            Some(_) if !began => failed("Internal invoice already paid.", "failed"),
            Some(Outgoing::Failed) => failed("Payment failed: no route", "failed"),
            _ => {
                let entry = &state.entries[&hash];
                let mut payment = outgoing(entry);
                drop(state);
                payment["preimage"] = self.ledger.told_preimage(hash).into();
                payment["payment_hash"] = named.into();
                Answer::Text(201, payment.to_string())
            }
        }
    }

    fn find(&self, hash: &str, key: Option<&str>) -> Answer {
        let hash = PaymentHash::from_hex(hash).unwrap();
        let (told, named) = (self.ledger.told_preimage(hash), self.ledger.named(hash));
        let state = self.ledger.0.lock().unwrap();
        let missing = || detail(404, "Payment does not exist.");
        let Some(entry) = state.entries.get(&hash) else {
            return missing();
        };
        let paid = entry.settled.is_some();
        let open = paid || self.tells_everybody.load(Ordering::Relaxed);
        let mut payment = match key {
            // The payment comes first, because its amount is less.
            Some(ADMIN | INVOICE) if self.pays_itself() && entry.outgoing.is_some() => {
                outgoing(entry)
            }
            Some(ADMIN | INVOICE) => incoming(entry),
            Some(PAYER) if entry.outgoing.is_none() => return missing(),
            Some(PAYER) => outgoing(entry),
            _ => {
                let preimage = open.then(|| entry.preimage.clone());
                return ok(&json!({ "paid": paid, "preimage": preimage }));
            }
        };
        payment["payment_hash"] = named.to_string().into();
        ok(
            &json!({ "paid": paid, "status": payment["status"], "preimage": told, "details": payment }),
        )
    }

    fn pays_itself(&self) -> bool {
        self.pays_itself.load(Ordering::Relaxed)
    }

    /// The payments of one wallet that have a hash.
    fn list_of(&self, hash: &str, key: &str) -> Answer {
        let hash = PaymentHash::from_hex(&hash[..64]).unwrap();
        let state = self.ledger.0.lock().unwrap();
        let mut found = Vec::new();
        if let Some(entry) = state.entries.get(&hash) {
            if entry.outgoing.is_some() && (key == PAYER || self.pays_itself()) {
                found.push(outgoing(entry));
            }
            if key != PAYER {
                found.push(incoming(entry));
            }
        }
        ok(&Value::Array(found))
    }

    fn list(&self) -> Answer {
        let state = self.ledger.0.lock().unwrap();
        let mut settled: Vec<_> = state
            .entries
            .values()
            .filter(|entry| entry.settled.is_some())
            .collect();
        settled.sort_by_key(|entry| std::cmp::Reverse(entry.settled));
        ok(&Value::Array(
            settled.into_iter().take(100).map(incoming).collect(),
        ))
    }
}

impl Protocol for FakeLnbits {
    fn answer(&self, asked: &Asked) -> Answer {
        let key = asked
            .headers
            .get("x-api-key")
            .map(|key| key.to_str().unwrap());
        let key = key.filter(|_| !self.forgot_keys.load(Ordering::Relaxed));
        if let ("GET", Some(hash)) = (
            asked.method.as_str(),
            asked.path.strip_prefix("/api/v1/payments/"),
        ) {
            return self.find(hash, key);
        }
        let Some(key @ (ADMIN | INVOICE | PAYER)) = key else {
            return detail(404, "Wallet not found.");
        };
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/api/v1/wallet") if key == INVOICE => {
                ok(&json!({ "name": "B", "balance": 0 }))
            }
            ("GET", "/api/v1/wallet") => ok(&json!({ "name": "B", "balance": 0, "id": "b" })),
            ("GET", "/api/v1/payments") => match asked.query.strip_prefix("payment_hash=") {
                Some(hash) => self.list_of(hash, key),
                None => self.list(),
            },
            ("POST", "/api/v1/payments") => {
                let body: Value = serde_json::from_slice(&asked.body).unwrap();
                match body["out"].as_bool().unwrap() {
                    true if key == INVOICE => detail(403, "Invoice (or Admin) key required."),
                    true => self.pay(&body),
                    false => self.create(&body),
                }
            }
            (_, path) => panic!("{path} is not there"),
        }
    }
}

fn incoming(entry: &Entry) -> Value {
    let status = if entry.settled.is_some() {
        "success"
    } else {
        "pending"
    };
    let updated = tower_x402::clock::Timestamp::from_unix_seconds(entry.settled_at).to_iso_8601();
    json!({
        "checking_id": entry.invoice.payment_hash().to_string(), "payment_hash": entry.invoice.payment_hash().to_string(),
        "amount": entry.invoice.amount().unwrap().as_msat(), "fee": 0, "bolt11": entry.invoice.as_str(),
        "payment_request": entry.invoice.as_str(), "status": status, "preimage": entry.preimage,
        "updated_at": updated.replace('Z', ".123456+00:00")
    })
}

fn outgoing(entry: &Entry) -> Value {
    let mut payment = incoming(entry);
    payment["amount"] = (-i64::try_from(entry.invoice.amount().unwrap().as_msat()).unwrap()).into();
    // All wallets are of one LNbits.
    payment["checking_id"] = format!("internal_{}", entry.invoice.payment_hash()).into();
    payment["status"] = match entry.outgoing {
        Some(Outgoing::Paid) => "success",
        Some(Outgoing::Failed) => "failed",
        _ => "pending",
    }
    .into();
    payment["fee"] = (-2_000).into();
    payment
}

fn ok(body: &Value) -> Answer {
    Answer::Text(200, body.to_string())
}

fn detail(status: u16, detail: &str) -> Answer {
    Answer::Text(status, json!({ "detail": detail }).to_string())
}
