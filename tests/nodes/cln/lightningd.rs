//! A server that speaks the JSON-RPC of Core Lightning on a unix socket, over a local node.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tower_x402::{
    Amount, Invoice, PaymentHash,
    lightning::{
        Description, InvoiceRequest, InvoiceStatus, LocalNode, PayLimits, Payer as _,
        PaymentStatus, Receiver as _,
    },
};

use super::fault::{ANY, Fault, shown, told};

/// The fee of each payment, in millisatoshi.
const FEE: u64 = 7;

pub(super) struct Lightningd {
    pub(super) node: LocalNode,
    pub(super) socket: PathBuf,
    /// Whether the time is paused until it answers again.
    pub(super) is_silent: AtomicBool,
    inner: Arc<Inner>,
    tasks: Mutex<JoinSet<()>>,
    _folder: tempfile::TempDir,
}

struct Inner {
    node: LocalNode,
    /// The settled invoices, in order.
    settled: watch::Sender<Vec<PaymentHash>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    fault: Option<(&'static str, Fault)>,
    network: Option<&'static str>,
    is_syncing: bool,
    pays: Option<Value>,
    /// The invoices that `xpay` was called with, and the calls in order.
    invoices: Vec<Invoice>,
    calls: Vec<(String, Value)>,
}

impl Lightningd {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (node, socket) = (LocalNode::new(), folder.path().join("lightning-rpc"));
        let inner = Arc::new(Inner {
            node: node.clone(),
            settled: watch::Sender::default(),
            state: Mutex::default(),
        });
        let settling = Arc::clone(&inner);
        tokio::spawn(async move {
            let mut settlements = settling.node.settlements();
            while let Some(hash) = settlements.next().await {
                settling.settled.send_modify(|settled| settled.push(hash));
            }
        });
        let started = Self {
            node,
            socket,
            is_silent: AtomicBool::new(false),
            inner,
            tasks: Mutex::default(),
            _folder: folder,
        };
        started.up(128);
        started
    }

    /// Says from now on that it waits for blocks.
    pub(super) fn syncs(&self) {
        self.inner.state.lock().unwrap().is_syncing = true;
    }

    /// Listens on the socket. `queue` connections may wait until they are accepted.
    fn up(&self, queue: i32) {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(&self.socket).unwrap()).unwrap();
        socket.listen(queue).unwrap();
        socket.set_nonblocking(true).unwrap();
        let listener = UnixListener::from_std(socket.into()).unwrap();
        let inner = Arc::clone(&self.inner);
        self.tasks.lock().unwrap().spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(Arc::clone(&inner), stream));
            }
        });
    }

    /// Ends as a killed process does: every connection closes, and the socket's file stays.
    pub(super) async fn kill(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        tasks.shutdown().await;
    }

    pub(super) async fn restart(&self, queue: i32) {
        self.kill().await;
        fs::remove_file(&self.socket).unwrap();
        self.up(queue);
    }

    /// Makes the answers to a method wrong.
    pub(super) fn fault(&self, method: &'static str, fault: Fault) {
        self.inner.state.lock().unwrap().fault = Some((method, fault));
    }

    pub(super) fn honest(&self) {
        self.inner.state.lock().unwrap().fault = None;
    }

    pub(super) fn network(&self, network: &'static str) {
        self.inner.state.lock().unwrap().network = Some(network);
    }

    /// Ends the payments that are in flight.
    pub(super) async fn settle_in_flight(&self) {
        let invoices = self.inner.state.lock().unwrap().invoices.clone();
        for hash in invoices.iter().map(Invoice::payment_hash) {
            let status = self.node.lookup_payment(hash).await.unwrap();
            if matches!(status, PaymentStatus::InFlight) {
                self.node.settle(hash).unwrap();
            }
        }
    }

    /// Sets what `listpays` answers.
    pub(super) fn pays(&self, pays: Value) {
        self.inner.state.lock().unwrap().pays = Some(pays);
    }

    /// Returns the parameters of every call of a method.
    pub(super) fn calls(&self, method: &str) -> Vec<Value> {
        let state = self.inner.state.lock().unwrap();
        let calls = state.calls.iter().filter(|(called, _)| called == method);
        calls.map(|(_, params)| params.clone()).collect()
    }

    pub(super) async fn settled(&self, count: usize) {
        let mut settled = self.inner.settled.subscribe();
        settled
            .wait_for(|settled| settled.len() >= count)
            .await
            .unwrap();
    }
}

async fn serve(inner: Arc<Inner>, mut stream: UnixStream) {
    let mut bytes = Vec::new();
    let request: Value = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        if let Ok(request) = serde_json::from_slice(&bytes) {
            break request;
        }
    };
    let (method, params) = (request["method"].as_str().unwrap(), &request["params"]);
    assert_eq!(request["jsonrpc"], "2.0");
    let fault = {
        let mut state = inner.state.lock().unwrap();
        state.calls.push((method.to_owned(), params.clone()));
        state
            .fault
            .filter(|(faulty, _)| [method, ANY].contains(faulty))
            .map(|(_, fault)| fault)
    };
    let answered = match fault {
        Some(Fault::Error(code)) => Err(code),
        _ => inner.answer(method, params, fault).await,
    };
    let id = match fault {
        Some(Fault::OtherCall) => json!("another"),
        _ => request["id"].clone(),
    };
    let answer = match answered {
        _ if fault == Some(Fault::Neither) => json!({ "jsonrpc": "2.0", "id": id }),
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(code) => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": "no luck" } })
        }
    };
    // Core Lightning ends each answer with an empty line.
    let mut answer = format!("{answer:#}\n\n").into_bytes();
    match fault {
        Some(Fault::Closes) => return,
        Some(Fault::Half) => answer.truncate(answer.len() / 2),
        Some(Fault::Garbage) => answer = b"HTTP/1.1 400 Bad Request\r\n\n\n".to_vec(),
        Some(Fault::Endless) => while stream.write_all(&[b'0'; 65_536]).await.is_ok() {},
        _ => {}
    }
    let _ = stream.write_all(&answer).await;
}

impl Inner {
    async fn answer(
        &self,
        method: &str,
        params: &Value,
        fault: Option<Fault>,
    ) -> Result<Value, i64> {
        match method {
            "getinfo" => {
                let profile = tower_x402::lightning::Receiver::profile(&self.node);
                let network = self.state.lock().unwrap().network.unwrap_or("regtest");
                let mut info = json!({ "id": hex(&profile.public_key.unwrap()), "network": network, "version": "v26.06" });
                if self.state.lock().unwrap().is_syncing {
                    info["warning_lightningd_sync"] =
                        "Still loading latest blocks from bitcoind.".into();
                }
                Ok(info)
            }
            "invoice" => self.invoice(params, fault).await,
            "listinvoices" => {
                let hash = of_payment(params)?;
                let listed = |status: &str| json!({ "invoices": [{ "payment_hash": shown(hash, fault), "status": status, "label": "x" }] });
                Ok(
                    match self.node.lookup_invoice(hash).await.map_err(|_| -1)? {
                        InvoiceStatus::Open => listed("unpaid"),
                        InvoiceStatus::Settled => listed("paid"),
                        InvoiceStatus::Expired => listed("expired"),
                        _ => json!({ "invoices": [] }),
                    },
                )
            }
            "waitanyinvoice" => {
                only(params, &["lastpay_index", "timeout"])?;
                let last = params["lastpay_index"].as_u64().ok_or(-32602)?;
                let wait = Duration::from_secs(params["timeout"].as_u64().ok_or(-32602)?);
                let last = usize::try_from(last).unwrap();
                let mut settled = self.settled.subscribe();
                let later = settled.wait_for(|settled| settled.len() > last);
                let hash = timeout(wait, later).await.map_err(|_| 904)?.unwrap()[last];
                Ok(
                    json!({ "payment_hash": shown(hash, fault), "pay_index": last + 1, "status": "paid" }),
                )
            }
            "xpay" => self.xpay(params, fault).await,
            "listpays" => self.listpays(of_payment(params)?, fault).await,
            _ => Err(-32601),
        }
    }

    async fn invoice(&self, params: &Value, fault: Option<Fault>) -> Result<Value, i64> {
        only(
            params,
            &[
                "amount_msat",
                "label",
                "description",
                "expiry",
                "deschashonly",
            ],
        )?;
        let (text, label) = (&params["description"], &params["label"]);
        let text = text.as_str().ok_or(-32602)?.to_owned();
        assert!(
            label.as_str().is_some_and(|label| label.len() > 20),
            "{label}"
        );
        let description = match params["deschashonly"].as_bool() {
            Some(true) => Description::Hashed(text.into_bytes()),
            _ => Description::Text(text),
        };
        let mut msat = params["amount_msat"].as_u64().ok_or(-32602)?;
        msat += u64::from(fault == Some(Fault::OtherAmount));
        let expiry = Duration::from_secs(params["expiry"].as_u64().ok_or(-32602)?);
        let request = InvoiceRequest::new(Amount::from_msat(msat), description, expiry);
        let made = self.node.create_invoice(request).await.map_err(|_| -1)?;
        Ok(json!({
            "bolt11": made.as_str(), "payment_hash": shown(made.payment_hash(), fault), "payment_secret": "00".repeat(32),
            "expires_at": made.expires_at().as_unix_seconds(), "created_index": 1, "warning_capacity": "none",
        }))
    }

    async fn xpay(&self, params: &Value, fault: Option<Fault>) -> Result<Value, i64> {
        only(params, &["invstring", "maxfee", "retry_for"])?;
        let invoice = params["invstring"]
            .as_str()
            .and_then(|text| Invoice::parse(text).ok());
        let invoice = invoice.ok_or(-32602)?;
        let paid = self
            .node
            .lookup_payment(invoice.payment_hash())
            .await
            .map_err(|_| -1)?;
        if matches!(paid, PaymentStatus::Paid { .. }) {
            return Err(219);
        }
        self.state.lock().unwrap().invoices.push(invoice.clone());
        let time = Duration::from_secs(params["retry_for"].as_u64().ok_or(-32602)?);
        let limits = PayLimits::new(
            Amount::from_msat(params["maxfee"].as_u64().ok_or(-32602)?),
            time,
        );
        if limits.max_fee < Amount::from_msat(FEE) {
            return Err(206);
        }
        match self.node.pay(&invoice, limits).await {
            Ok(PaymentStatus::Paid { preimage, .. }) => {
                let msat = invoice.amount().unwrap().as_msat();
                let mut sent = json!({ "amount_msat": msat, "amount_sent_msat": msat + FEE, "failed_parts": 0, "successful_parts": 1 });
                if let Some(preimage) = told(&preimage.expose_hex(), &invoice, fault) {
                    sent["payment_preimage"] = json!(preimage);
                }
                Ok(sent)
            }
            _ => Err(205),
        }
    }

    async fn listpays(&self, hash: PaymentHash, fault: Option<Fault>) -> Result<Value, i64> {
        if let Some(pays) = &self.state.lock().unwrap().pays {
            return Ok(json!({ "pays": pays }));
        }
        let status = self.node.lookup_payment(hash).await.map_err(|_| -1)?;
        let mut pay =
            json!({ "payment_hash": shown(hash, fault), "created_at": 1, "status": "failed" });
        match status {
            PaymentStatus::Failed => {}
            PaymentStatus::InFlight => pay["status"] = json!("pending"),
            PaymentStatus::Paid { preimage, .. } => {
                let invoices = self.state.lock().unwrap().invoices.clone();
                let of_hash = |invoice: &&Invoice| invoice.payment_hash() == hash;
                pay["status"] = json!("complete");
                pay["amount_sent_msat"] = json!("21007msat");
                pay["amount_msat"] = json!("21000msat");
                if let Some(invoice) = invoices.iter().find(of_hash)
                    && let Some(preimage) = told(&preimage.expose_hex(), invoice, fault)
                {
                    pay["preimage"] = json!(preimage);
                }
            }
            _ => return Ok(json!({ "pays": [] })),
        }
        Ok(json!({ "pays": [pay] }))
    }
}

/// Core Lightning refuses parameters that it does not know.
fn only(params: &Value, known: &[&str]) -> Result<(), i64> {
    let all = params.as_object().ok_or(-32602)?;
    let known = all.keys().all(|name| known.contains(&name.as_str()));
    known.then_some(()).ok_or(-32602)
}

fn of_payment(params: &Value) -> Result<PaymentHash, i64> {
    only(params, &["payment_hash"])?;
    params["payment_hash"]
        .as_str()
        .and_then(PaymentHash::from_hex)
        .ok_or(-32602)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
