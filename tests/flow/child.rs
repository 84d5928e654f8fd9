//! Starts this test program again, as a server in its own process that can be killed.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    num::NonZeroU32,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use axum::{Router, extract, routing::get as on_get};
use tower_x402::{
    Amount, Charge, DurableStore, Paid, PaymentHash, Paywall, Secrets, lightning::LocalNode,
};

use crate::killed::{ORIGIN, TEST, USES};

/// This test program, running as a server in another process. It is killed on drop.
pub(crate) struct Server {
    child: Child,
    pub(crate) origin: String,
}

impl Server {
    pub(crate) fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([TEST, "--exact", "--nocapture"])
            .env("FLOW_CHILD", TEST)
            .env("FLOW_FOLDER", folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("> ").map(str::to_owned));
        Self {
            child,
            origin: format!("http://{}", address.expect("the child prints its address")),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[allow(clippy::print_stdout)]
pub(crate) fn serve_until_killed(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let node = LocalNode::new();
        let paywall = Paywall::builder(node.clone())
            .origin(ORIGIN)
            .master_secret(Secrets::test_secret(7))
            .replay_store(DurableStore::open(folder.join("store")).unwrap())
            .max_unpaid_per_client(1_000_000)
            .max_unpaid(1_000_000)
            .build()
            .unwrap();
        let runs = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(folder.join("runs"))
            .unwrap();
        let runs = Arc::new(Mutex::new(runs));
        // The kernel has this line before the answer is sent, so killing the process does not lose
        // it.
        let handler = async move |Paid(receipt): Paid| {
            let payment_hash = receipt.payment_hash().unwrap();
            let line = format!("{payment_hash} {}\n", receipt.dialect());
            runs.lock().unwrap().write_all(line.as_bytes()).unwrap();
        };
        let wallet = async move |extract::Path(hash): extract::Path<String>| {
            node.settle(PaymentHash::from_hex(&hash).unwrap())
                .unwrap()
                .expose_hex()
        };
        let thrice = Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(USES).unwrap());
        let app = Router::new()
            .route(
                "/once",
                on_get(handler.clone()).route_layer(paywall.charge(Amount::from_sat(10)).unwrap()),
            )
            .route(
                "/thrice",
                on_get(handler).route_layer(paywall.charge(thrice).unwrap()),
            )
            .route("/wallet/{hash}", on_get(wallet));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        // On its own line, because the harness may have started a line with the name of the test.
        println!("\n> {}", listener.local_addr().unwrap());
        std::io::stdout().flush().unwrap();
        axum::serve(listener, app).await.unwrap();
    });
}
