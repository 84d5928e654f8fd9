//! An API that people of any language can test their paying clients against: it stays up, it is paid over a real Lightning
//! channel whose money is pretend, and a wallet that speaks part of LND's REST interface pays for it.
//!
//! `cargo run --example paid_api -- --help` lists what it can be told.
#![allow(clippy::print_stdout, reason = "its two addresses are what it is there to tell")]

mod arguments;
mod described;
mod kept;
mod wallet;

use std::{net::SocketAddr, path::Path, process::ExitCode, time::Duration};

use axum::{Json, Router, extract::OriginalUri, routing::get};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::timeout,
};
use tower_x402::{
    Paid,
    lightning::Devnet,
    replay::{DurableStore, MemoryStore},
    server::{BoxError, Paywall, PaywallBuilder, RouteTable},
};

use self::arguments::{Arguments, Route, USAGE};

/// How long answers that are under way may take once the end is asked for.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), BoxError> {
    let mut ended = end()?;
    let api = listen(arguments.listen, "--listen").await?;
    let wallet = listen(arguments.wallet, "--wallet").await?;
    let (api_address, wallet_address) = (api.local_addr()?, wallet.local_addr()?);
    let origin = arguments.origin.clone().unwrap_or_else(|| format!("http://{api_address}"));

    let devnet = Devnet::start().await?;
    let paywall = Paywall::builder(devnet.server()).insecure_origin(&origin);
    let paywall = arguments.unpaid.into_iter().fold(paywall, |paywall, unpaid| paywall.unpaid_per_client(unpaid.get()));
    let paywall = remember(paywall, arguments.store.as_deref())?.build()?;
    let layer = paywall.routes(table(&arguments.routes))?;
    let mut service = Router::new().fallback(answer).layer(layer);
    if !arguments.routes.iter().any(|route| route.rule.ends_with(described::PATH)) {
        let described = described::openapi(&arguments.routes, &origin);
        service = service.route(described::PATH, get(async || Json(described)));
    }
    let service = service.into_make_service_with_connect_info::<SocketAddr>();

    println!("the money is pretend: two Lightning nodes on regtest and the channel between them are within this process");
    for route in &arguments.routes {
        println!("route {route}");
    }
    println!("origin {origin}");
    println!("api http://{api_address}");
    println!("wallet http://{wallet_address}");
    if arguments.store.is_some() && arguments.origin.is_none() && arguments.listen.port() == 0 {
        eprintln!("what is bought is bound to the origin: give --listen a fixed port, or --origin, to redeem it after a restart");
    }

    let api = axum::serve(api, service).with_graceful_shutdown(told(ended.clone()));
    let wallet = axum::serve(wallet, wallet::router(devnet.client())).with_graceful_shutdown(told(ended.clone()));
    let both = async { tokio::try_join!(api, wallet).map(drop) };
    tokio::pin!(both);
    tokio::select! {
        outcome = &mut both => outcome?,
        _ = ended.wait_for(|ended| *ended) => timeout(LAST_ANSWERS, both).await.unwrap_or(Ok(()))?,
    }
    Ok(())
}

/// What is sold: where it was asked for, and what was paid for it.
async fn answer(OriginalUri(uri): OriginalUri, paid: Option<Paid>) -> Json<Value> {
    Json(json!({ "path": uri.path(), "receipt": paid.map(|Paid(receipt)| receipt.to_string()) }))
}

fn table(routes: &[Route]) -> RouteTable {
    let table = routes.iter().fold(RouteTable::new(), |table, route| {
        if route.price.is_zero() { table.free(&route.rule) } else { table.charge(&route.rule, route.charge()) }
    });
    table.otherwise_refuse()
}

/// Where spent payments are remembered, and the secret that everything is derived from.
fn remember(paywall: PaywallBuilder, folder: Option<&Path>) -> Result<PaywallBuilder, BoxError> {
    let Some(folder) = folder else {
        return Ok(paywall.master_secret(kept::passing_secret()?).replay_store(MemoryStore::new()?));
    };
    let secret = kept::master_secret(folder)?;
    Ok(paywall.master_secret(secret).replay_store(DurableStore::open(folder.join("replay"))?))
}

async fn listen(address: SocketAddr, option: &str) -> Result<TcpListener, BoxError> {
    TcpListener::bind(address).await.map_err(|error| format!("{option} {address}: {error}").into())
}

/// Becomes true at SIGINT or SIGTERM.
fn end() -> Result<watch::Receiver<bool>, BoxError> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        sender.send_replace(true);
    });
    Ok(receiver)
}

async fn told(mut ended: watch::Receiver<bool>) {
    // An error is the sender's end, which comes after the signal only.
    let _ = ended.wait_for(|ended| *ended).await;
}
