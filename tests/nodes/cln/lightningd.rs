//! A server that speaks the JSON-RPC of Core Lightning on a unix socket, over a local node.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinSet,
};
use tower_x402::{
    Invoice, PaymentHash,
    lightning::{LocalNode, Payer as _, PaymentStatus, Receiver as _},
};

use super::fault::{ANY, Fault};

pub(super) struct Lightningd {
    pub(super) node: LocalNode,
    pub(super) socket: PathBuf,
    /// Whether the time is paused until it answers again.
    pub(super) is_silent: AtomicBool,
    inner: Arc<Inner>,
    tasks: Mutex<JoinSet<()>>,
    _folder: tempfile::TempDir,
}

pub(super) struct Inner {
    pub(super) node: LocalNode,
    /// The settled invoices, in order.
    pub(super) settled: watch::Sender<Vec<PaymentHash>>,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    fault: Option<(&'static str, Fault)>,
    pub(super) network: Option<&'static str>,
    pub(super) version: Option<&'static str>,
    /// The name of a warning that invoices come with.
    pub(super) warning: Option<&'static str>,
    pub(super) is_syncing: bool,
    pub(super) pays: Option<Value>,
    /// How many times `listpays` still says that a payment is under way after it failed.
    pub(super) tidies: usize,
    /// The invoices that `xpay` was called with, and the calls in order.
    pub(super) invoices: Vec<Invoice>,
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

    pub(super) fn version(&self, version: &'static str) {
        self.inner.state.lock().unwrap().version = Some(version);
    }

    /// Makes invoices come with a warning.
    pub(super) fn warns(&self, warning: &'static str) {
        self.inner.state.lock().unwrap().warning = Some(warning);
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

    /// Makes `listpays` say so many times that a payment is under way after it failed.
    pub(super) fn tidies(&self, times: usize) {
        self.inner.state.lock().unwrap().tidies = times;
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
    let mut answer = format!("{answer}\n\n").into_bytes();
    match fault {
        Some(Fault::Closes) => return,
        Some(Fault::Silent) => std::future::pending().await,
        Some(Fault::Half) => answer.truncate(answer.len() / 2),
        Some(Fault::Garbage) => answer = b"HTTP/1.1 400 Bad Request\r\n\n\n".to_vec(),
        Some(Fault::Endless) => while stream.write_all(&[b'0'; 65_536]).await.is_ok() {},
        _ => {}
    }
    let _ = stream.write_all(&answer).await;
}
