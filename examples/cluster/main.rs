//! Three server processes on one store behind a balancer, and clients that pay them.
//!
//! `cargo run --example cluster` starts a `redis-server` of its own. For another store, give its
//! URL:
//!
//! ```sh
//! cargo run --example cluster -- 'redis://127.0.0.1:6379?name=cluster'
//! cargo run --example cluster -- postgres://me@127.0.0.1/cluster
//! ```
//!
//! A client gets a price from one process, and redeems its payment at the next one. That works
//! because all have the same origin, master secret and store. The code that starts them is in
//! `tests/fixtures/cluster/`. `scripts/chaos` kills them while clients pay.
#![allow(clippy::print_stdout, reason = "this is what the example is for")]

#[path = "../../tests/fixtures/cluster/mod.rs"]
#[allow(dead_code)]
mod cluster;
#[path = "../../tests/redis/server.rs"]
#[allow(clippy::unwrap_used, dead_code)]
mod redis;
#[path = "../secret_file/mod.rs"]
mod secret_file;
mod shopping;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::Router;
use tokio::net::TcpListener;
use tower_x402::{lightning::LocalNode, server::BoxError};

use self::cluster::{Balancer, PRICE, Process, Task};

const PROCESSES: usize = 3;
const CLIENTS: usize = 8;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    if let Some(task) = Task::of_this_process() {
        return task.serve(|store| store).await;
    }
    let (store, _redis) = match std::env::args().nth(1) {
        Some(url) => (url, None),
        None => {
            let program = redis::programs().into_iter().next();
            let program = program.ok_or("install redis-server, or give the URL of a store")?;
            let server = redis::Server::start(program, &redis::DURABLE);
            (server.url("cluster"), Some(server))
        }
    };
    let balancer = Arc::new(Balancer::new(PROCESSES));
    let origin = serve(shopping::front(balancer.clone())).await?;
    let node = LocalNode::new(); // in production: your own node, which every server can reach
    let node_url = serve(cluster::router(node.clone())).await?;
    let folder = tempfile::tempdir()?;
    let secret = std::fs::read(secret_file::create(folder.path(), "master-secret")?)?;
    let mut processes = Vec::new();
    for place in 0..PROCESSES {
        let task = Task {
            name: format!("process {place}"),
            origin: origin.clone(),
            secret: secret.clone(),
            store: store.clone(),
            node: node_url.clone(),
            invoice_expiry: Duration::from_secs(300),
            served: folder.path().join(place.to_string()),
        };
        let process = Process::start(&[], &task).await?;
        balancer.set(place, Some((place as u64, process.address)));
        processes.push(process);
    }
    println!("{PROCESSES} processes behind {origin}, {PRICE} for each payment");

    let clients = (0..CLIENTS).map(|_| shopping::shop(node.clone(), &origin));
    let clients = futures_util::future::try_join_all(clients).await?;
    let mut served: BTreeMap<String, usize> = BTreeMap::new();
    for process in clients.iter().flat_map(|client| &client.served_by) {
        *served.entry(process.clone()).or_default() += 1;
    }
    println!("\nserved by");
    for (process, times) in served {
        println!("{process}: {times}");
    }
    let paid: u64 = clients.iter().map(|client| client.paid.as_msat()).sum();
    println!("\n{CLIENTS} clients paid {} sat", paid / 1_000);
    Ok(())
}

/// Serves on a free port, and returns the URL.
async fn serve(app: Router) -> Result<String, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
