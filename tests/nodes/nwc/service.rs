//! A wallet service of NIP-47, over a local node.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use nostr::{
    Event, EventBuilder, Keys, Kind, Tag, Timestamp,
    nips::{
        nip04,
        nip44::{self, Version},
    },
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower_x402::{Invoice, PaymentHash};

use super::{
    ledger::{Entry, Ledger, Status, What},
    options::{Fault, Options},
    relay::Relay,
};

/// Stands for every method of a fault.
pub(super) const ANY: &str = "*";

pub(super) struct Service {
    pub(super) url: String,
    inner: Arc<Inner>,
    _tasks: JoinSet<()>,
}

struct Inner {
    ledger: Arc<Ledger>,
    keys: Keys,
    client: Keys,
    relay: Arc<Relay>,
    options: Options,
    state: Mutex<State>,
    forgets: AtomicBool,
}

#[derive(Default)]
struct State {
    fault: Option<(&'static str, Fault)>,
    /// What `pay_invoice` was called for.
    sent: HashSet<PaymentHash>,
    calls: Vec<(String, Value)>,
    /// The last request that was answered.
    earlier: Option<Event>,
}

impl Service {
    pub(super) fn start(relay: &Arc<Relay>, ledger: &Arc<Ledger>, options: Options) -> Self {
        let inner = Arc::new(Inner {
            ledger: Arc::clone(ledger),
            keys: Keys::generate(),
            client: Keys::generate(),
            relay: Arc::clone(relay),
            options,
            state: Mutex::default(),
            forgets: AtomicBool::new(false),
        });
        let mut about = EventBuilder::new(Kind::WalletConnectInfo, inner.options.methods);
        if inner.options.nip44 {
            about = about.tag(Tag::parse(["encryption", "nip44_v2 nip04"]).unwrap());
        }
        if inner.options.notifies {
            let kinds = "payment_received payment_sent";
            about = about.tag(Tag::parse(["notifications", kinds]).unwrap());
        }
        relay.publish(about.sign_with_keys(&inner.keys).unwrap());
        let mut tasks = JoinSet::new();
        let (mut events, serving) = (relay.inner.events.subscribe(), Arc::clone(&inner));
        tasks.spawn(async move {
            let mut answering = JoinSet::new();
            while let Ok(event) = events.recv().await {
                if event.kind == Kind::WalletConnectRequest
                    && event.pubkey == serving.client.public_key()
                {
                    answering.spawn(Arc::clone(&serving).serve(event));
                }
            }
        });
        if inner.options.notifies {
            tasks.spawn(Arc::clone(&inner).notify());
        }
        let url = format!(
            "nostr+walletconnect://{}?relay={}&secret={}&lud16=test%40example.com",
            inner.keys.public_key(),
            relay.url.replace(':', "%3A").replace('/', "%2F"),
            inner.client.secret_key().to_secret_hex()
        );
        Self {
            url,
            inner,
            _tasks: tasks,
        }
    }

    pub(super) fn fault(&self, method: &'static str, fault: Fault) {
        self.inner.state.lock().unwrap().fault = Some((method, fault));
    }

    pub(super) fn honest(&self) {
        self.inner.state.lock().unwrap().fault = None;
    }

    /// Makes the wallet forget its payments.
    pub(super) fn forget_payments(&self, forgets: bool) {
        self.inner.forgets.store(forgets, Ordering::SeqCst);
    }

    /// Returns the parameters of every call of a method.
    pub(super) fn calls(&self, method: &str) -> Vec<Value> {
        let state = self.inner.state.lock().unwrap();
        let calls = state.calls.iter().filter(|(called, _)| called == method);
        calls.map(|(_, params)| params.clone()).collect()
    }

    /// Publishes a notification of this transaction, which the wallet signs at this time.
    pub(super) fn notify(&self, transaction: &Value, at: Timestamp) {
        let content =
            json!({ "notification_type": "payment_received", "notification": transaction });
        let sealed = self.inner.sealed(&content.to_string());
        let event = EventBuilder::new(Kind::from(23_197), sealed).custom_created_at(at);
        self.inner.send(event, &self.inner.keys, None);
    }

    /// Publishes an answer that the wallet signs, and that is too long for a message.
    pub(super) fn publish_too_much(&self) {
        let event = EventBuilder::new(Kind::WalletConnectResponse, "x".repeat(300_000));
        self.inner.send(event, &self.inner.keys, None);
    }

    /// Publishes a notification that the wallet did not sign.
    pub(super) fn forge_notification(&self, hash: PaymentHash) {
        let (forger, client) = (Keys::generate(), self.inner.client.public_key());
        let content = json!({ "notification_type": "payment_received", "notification": { "payment_hash": hash.to_string() } });
        let sealed = nip44::encrypt(
            forger.secret_key(),
            &client,
            content.to_string(),
            Version::V2,
        );
        let event =
            EventBuilder::new(Kind::from(23_197), sealed.unwrap()).tag(Tag::public_key(client));
        self.inner
            .relay
            .publish(event.sign_with_keys(&forger).unwrap());
    }
}

impl Inner {
    async fn notify(self: Arc<Self>) {
        let (mut told, mut settled) = (0, self.ledger.settled.subscribe());
        loop {
            let more = settled.wait_for(|settled| settled.len() > told).await;
            let Ok(hash) = more.map(|settled| settled[told]) else {
                return;
            };
            told += 1;
            let transaction = json!({ "type": "incoming", "payment_hash": hash.to_string() });
            let content =
                json!({ "notification_type": "payment_received", "notification": transaction });
            let kind = if self.options.nip44 { 23_197 } else { 23_196 };
            self.publish(kind, &content.to_string(), None);
        }
    }

    async fn serve(self: Arc<Self>, request: Event) {
        request.verify().unwrap();
        let to: Vec<_> = request.tags.public_keys().copied().collect();
        assert_eq!(to, [self.keys.public_key()]);
        assert!(
            request
                .tags
                .expiration()
                .is_some_and(|at| *at >= Timestamp::now())
        );
        let nip44 = request
            .tags
            .iter()
            .any(|tag| tag.as_slice() == ["encryption", "nip44_v2"]);
        assert_eq!(nip44, self.options.nip44);
        let (secret, client) = (self.keys.secret_key(), &request.pubkey);
        let opened = match nip44 {
            true => nip44::decrypt(secret, client, &request.content).unwrap(),
            false => nip04::decrypt(secret, client, &request.content).unwrap(),
        };
        let opened: Value = serde_json::from_str(&opened).unwrap();
        let (method, params) = (opened["method"].as_str().unwrap(), &opened["params"]);
        let fault = {
            let mut state = self.state.lock().unwrap();
            state.calls.push((method.to_owned(), params.clone()));
            let begun = state
                .fault
                .filter(|(faulty, _)| [method, ANY].contains(faulty))
                .map(|(_, fault)| fault);
            if let Some(Fault::ErrorOnce(_)) = begun {
                state.fault = None;
            }
            begun
        };
        let has_fraction = params["amount"].as_u64().unwrap_or_default() % 1_000 != 0;
        let answered = match fault {
            Some(Fault::Error(code) | Fault::ErrorOnce(code)) => Err(code),
            Some(Fault::NoFractions(code)) if has_fraction => Err(code),
            _ if !self.options.methods.split(' ').any(|known| known == method) => Err("RESTRICTED"),
            _ => self.answer(method, params, fault),
        };
        let answer = match answered {
            _ if fault == Some(Fault::Neither) => {
                json!({ "result_type": method, "error": null, "result": null })
            }
            Ok(result) => json!({ "result_type": method, "error": null, "result": result }),
            Err(code) => {
                json!({ "result_type": method, "error": { "code": code, "message": "no luck" }, "result": {} })
            }
        };
        let answer = match fault {
            Some(Fault::Silent) => return,
            Some(Fault::Garbage) => "<html>".to_owned(),
            Some(Fault::OtherMethod) => answer.to_string().replacen(method, "get_balance", 1),
            _ => answer.to_string(),
        };
        match fault {
            Some(Fault::Undecryptable) => {
                let event = EventBuilder::new(Kind::WalletConnectResponse, "AgAAAA");
                self.send(event, &self.keys, Some(&request));
            }
            Some(Fault::Forged) => {
                let forger = Keys::generate();
                let sealed = nip44::encrypt(forger.secret_key(), client, answer, Version::V2);
                let event = EventBuilder::new(Kind::WalletConnectResponse, sealed.unwrap());
                self.send(event, &forger, Some(&request));
            }
            Some(Fault::OtherRequest) => {
                let other = self.state.lock().unwrap().earlier.clone();
                self.publish(23_195, &answer, other.as_ref());
            }
            _ => {
                self.publish(23_195, &answer, Some(&request));
                self.state.lock().unwrap().earlier = Some(request);
            }
        }
    }

    fn sealed(&self, content: &str) -> String {
        let (secret, client) = (self.keys.secret_key(), self.client.public_key());
        match self.options.nip44 {
            true => nip44::encrypt(secret, &client, content, Version::V2).unwrap(),
            false => nip04::encrypt(secret, &client, content).unwrap(),
        }
    }

    fn publish(&self, kind: u16, content: &str, answers: Option<&Event>) {
        let event = EventBuilder::new(Kind::from(kind), self.sealed(content));
        self.send(event, &self.keys, answers);
    }

    fn send(&self, event: EventBuilder, keys: &Keys, answers: Option<&Event>) {
        let event = event
            .tag(Tag::public_key(self.client.public_key()))
            .tag_maybe(answers.map(|request| Tag::event(request.id)));
        self.relay.publish(event.sign_with_keys(keys).unwrap());
    }

    fn answer(
        &self,
        method: &str,
        params: &Value,
        fault: Option<Fault>,
    ) -> Result<Value, &'static str> {
        match method {
            "get_info" => {
                let methods: Vec<_> = self.options.methods.split(' ').collect();
                let kinds = if self.options.notifies {
                    vec!["payment_received"]
                } else {
                    vec![]
                };
                Ok(
                    json!({ "alias": "", "pubkey": "", "network": self.options.network, "methods": methods, "notifications": kinds }),
                )
            }
            "make_invoice" => self.make(params, fault),
            "lookup_invoice" => {
                let hash = params["payment_hash"]
                    .as_str()
                    .and_then(PaymentHash::from_hex);
                let entry = self.ledger.entry(hash.ok_or("OTHER")?).ok_or("NOT_FOUND")?;
                self.transaction(&entry, fault)
            }
            "pay_invoice" => self.pay(params, fault),
            "list_transactions" => {
                assert_eq!(params["type"], "incoming");
                let entries = self.ledger.entries();
                let settled = entries
                    .iter()
                    .filter(|entry| entry.status == Status::Settled);
                let listed = settled.map(|entry| self.transaction(entry, fault));
                Ok(json!({ "transactions": listed.collect::<Result<Vec<_>, _>>()? }))
            }
            _ => Err("NOT_IMPLEMENTED"),
        }
    }

    fn make(&self, params: &Value, fault: Option<Fault>) -> Result<Value, &'static str> {
        let mut msat = params["amount"].as_u64().ok_or("OTHER")?;
        if self.options.whole_sats {
            msat -= msat % 1_000;
        }
        msat += u64::from(fault == Some(Fault::OtherAmount));
        let expiry = Duration::from_secs(params["expiry"].as_u64().ok_or("OTHER")?);
        let what = match (&params["description"], &params["description_hash"]) {
            (Value::String(text), Value::Null) => What::Text(text.clone()),
            (Value::Null, Value::String(hash)) if self.options.keeps_hashes => {
                What::Hash(*PaymentHash::from_hex(hash).ok_or("OTHER")?.as_bytes())
            }
            (Value::Null, Value::String(_)) => What::Text("the wallet's own".to_owned()),
            _ => return Err("OTHER"),
        };
        let made = self
            .ledger
            .make(self.options.currency.clone(), msat, what, expiry);
        let (invoice, preimage) = (&made.invoice, made.preimage.expose_hex());
        Ok(json!({
            "type": "incoming", "invoice": invoice.as_str(), "payment_hash": shown(invoice.payment_hash(), fault),
            "preimage": preimage, "amount": msat, "fees_paid": 0, "expires_at": invoice.expires_at().as_unix_seconds(),
        }))
    }

    fn pay(&self, params: &Value, fault: Option<Fault>) -> Result<Value, &'static str> {
        let invoice = params["invoice"]
            .as_str()
            .and_then(|text| Invoice::parse(text).ok());
        let hash = invoice.ok_or("OTHER")?.payment_hash();
        self.state.lock().unwrap().sent.insert(hash);
        let entry = self.ledger.pay(hash);
        match entry.status {
            Status::Settled => Ok(json!({ "preimage": told(&entry, fault), "fees_paid": 7 })),
            _ => Err("PAYMENT_FAILED"),
        }
    }

    fn transaction(&self, entry: &Entry, fault: Option<Fault>) -> Result<Value, &'static str> {
        let hash = entry.invoice.payment_hash();
        let outgoing = self.state.lock().unwrap().sent.contains(&hash);
        if self.forgets.load(Ordering::SeqCst) && outgoing || !self.options.receives && !outgoing {
            return Err("NOT_FOUND");
        }
        let mut transaction = json!({
            "type": if outgoing { "outgoing" } else { "incoming" }, "payment_hash": shown(hash, fault),
            "invoice": entry.invoice.as_str(), "amount": 1, "fees_paid": if outgoing { 7 } else { 0 },
            "expires_at": entry.invoice.expires_at().as_unix_seconds(), "settled_at": null,
        });
        if self.options.states {
            transaction["state"] = json!(match entry.status {
                Status::Open | Status::InFlight => "pending",
                Status::Failed => "failed",
                Status::Settled => "settled",
            });
        }
        if entry.status == Status::Settled {
            transaction["settled_at"] = json!(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs());
            transaction["preimage"] = told(entry, fault);
        } else if self.options.tells_preimages {
            transaction["preimage"] = json!(entry.preimage.expose_hex());
        }
        Ok(transaction)
    }
}

fn shown(hash: PaymentHash, fault: Option<Fault>) -> String {
    match fault {
        Some(Fault::OtherHash) => "ab".repeat(32),
        _ => hash.to_string(),
    }
}

fn told(entry: &Entry, fault: Option<Fault>) -> Value {
    match fault {
        Some(Fault::NoPreimage) => Value::Null,
        Some(Fault::WrongPreimage) => json!("cd".repeat(32)),
        Some(Fault::InvoiceAsPreimage) => json!(entry.invoice.as_str()),
        _ => json!(entry.preimage.expose_hex()),
    }
}
