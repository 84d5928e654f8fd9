//! One run: a node, a store, processes behind a balancer, and what is known about them.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch};
use tower_x402::{PaymentHash, Secrets, lightning::LocalNode};

use crate::{
    book::{Book, Broken, Kind, Try},
    cluster::{self, Answer, Balancer, Task},
    history::History,
    options::Options,
};

/// What every process calls itself.
pub(crate) const ORIGIN: &str = "http://127.0.0.1:8402";

/// The body of each request.
pub(crate) const BODY: &[u8] = b"a scene";

pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) node: LocalNode,
    pub(crate) balancer: Balancer,
    pub(crate) book: Book,
    pub(crate) history: History,
    /// True once nothing is killed or broken any more.
    pub(crate) calm: watch::Sender<bool>,
    task: Task,
    folder: TempDir,
    numbers: AtomicU64,
}

impl World {
    pub(crate) async fn new(options: Options, store: String) -> Self {
        let node = LocalNode::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node_url = format!("http://{}", listener.local_addr().unwrap());
        let router = cluster::router(node.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let task = Task {
            name: String::new(),
            origin: ORIGIN.to_owned(),
            secret: Secrets::test_secret(7).to_vec(),
            store,
            node: node_url,
            // What was bought first is still redeemable at the end.
            invoice_expiry: 2 * options.time + Duration::from_secs(1_800),
            served: PathBuf::new(),
        };
        Self {
            balancer: Balancer::new(options.processes),
            book: Book::default(),
            history: History::default(),
            calm: watch::Sender::new(!options.havoc),
            folder: tempfile::tempdir().unwrap(),
            numbers: AtomicU64::new(0),
            options,
            node,
            task,
        }
    }

    /// Returns the task of one more process, and its number.
    pub(crate) fn next_task(&self) -> (u64, Task) {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let task = Task {
            name: format!("process {number}"),
            served: self.folder.path().join(number.to_string()),
            ..self.task.clone()
        };
        (number, task)
    }

    /// Returns when nothing is killed any more.
    pub(crate) async fn calm(&self) {
        let _ = self.calm.subscribe().wait_for(|calm| *calm).await;
    }

    /// Makes a request without a credential.
    pub(crate) async fn ask(&self, kind: Kind) -> Answer {
        self.send(kind, &HeaderMap::new()).await
    }

    /// Makes a request with the credential of a payment, and notes what became of it.
    pub(crate) async fn redeem(&self, hash: PaymentHash) -> Try {
        let (kind, credential) = {
            let payments = self.book.payments();
            (payments[&hash].kind, payments[&hash].credential.clone())
        };
        let sent = Instant::now();
        match self.send(kind, &credential).await {
            Answer::From(_, answer) if answer.status() == StatusCode::OK => {
                self.book.note(hash, |payment| payment.received += 1);
                Try::Served
            }
            Answer::From(process, answer) if answer.status().is_server_error() => {
                let now = Instant::now();
                self.book
                    .note(hash, |payment| payment.failed.push((process, now)));
                Try::Failed
            }
            Answer::From(_, answer) => {
                let is_refusal = [StatusCode::PAYMENT_REQUIRED, StatusCode::CONFLICT];
                assert!(is_refusal.contains(&answer.status()), "{answer:?}");
                Try::Refused
            }
            Answer::Broken(process) | Answer::Silent(process) => {
                let at = Instant::now();
                let broken = Broken { process, sent, at };
                self.book.note(hash, |payment| payment.broken.push(broken));
                Try::Failed
            }
            Answer::NoProcess => Try::Failed,
        }
    }

    async fn send(&self, kind: Kind, headers: &HeaderMap) -> Answer {
        let mut request = Request::post(kind.path())
            .body(Bytes::from_static(BODY))
            .unwrap();
        request.headers_mut().extend(headers.clone());
        let answer = self.balancer.send(request).await;
        if let Answer::Silent(process) = answer {
            self.history.silent(process);
        }
        answer
    }

    /// Counts what the handlers served, by what they wrote down.
    pub(crate) fn served(&self) -> HashMap<PaymentHash, u64> {
        let mut served = HashMap::new();
        for file in std::fs::read_dir(self.folder.path()).unwrap() {
            for line in std::fs::read_to_string(file.unwrap().path())
                .unwrap()
                .lines()
            {
                let hash = PaymentHash::from_hex(line).expect("whole lines");
                *served.entry(hash).or_default() += 1;
            }
        }
        served
    }
}
