//! An API that people of any language can test their paying clients against. It stays up, it is
//! paid over a real Lightning channel whose money is pretend, and a wallet that speaks part of
//! LND's REST interface pays for it.
//!
//! `cargo run --example paid_api -- --help` lists its options.
//!
//! # To pay by hand
//!
//! Start it on fixed ports:
//!
//! ```sh
//! cargo run --example paid_api -- --listen 127.0.0.1:3000 --wallet 127.0.0.1:3001
//! ```
//!
//! Then, in a second terminal, ask, pay and ask again. This is L402; a client of MPP or x402 needs
//! code.
//!
//! ```sh
//! url=http://127.0.0.1:3000/weather/oslo
//! challenge=$(curl -si $url | grep -i '^www-authenticate: L402')
//! token=$(echo "$challenge" | sed 's/.*macaroon="\([^"]*\)".*/\1/')
//! invoice=$(echo "$challenge" | sed 's/.*invoice="\([^"]*\)".*/\1/')
//! paid=$(curl -s http://127.0.0.1:3001/v1/channels/transactions -d "{\"payment_request\":\"$invoice\"}")
//! preimage=$(echo "$paid" | sed 's/.*"payment_preimage":"\([^"]*\)".*/\1/' | base64 -d | od -An -v -tx1 | tr -d ' \n')
//! curl -i $url -H "Authorization: L402 $token:$preimage"   # 200
//! curl -i $url -H "Authorization: L402 $token:$preimage"   # 402: one payment bought one request
//! ```
//!
//! # What it is made of
//!
//! The wallet and the serving of several servers at once are in `tests/fixtures/`, which the
//! example `facilitator` uses too. Released clients of each dialect pay this server in
//! `scripts/interop`.
#![allow(
    clippy::print_stdout,
    reason = "a client reads its addresses from the output"
)]

mod arguments;
mod described;
mod kept;
#[path = "../../tests/fixtures/serving.rs"]
mod serving;
#[path = "../../tests/fixtures/wallet/mod.rs"]
mod wallet;

use std::{net::SocketAddr, path::Path, process::ExitCode};

use axum::{Json, Router, extract::OriginalUri, routing::get};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_x402::{
    Paid,
    lightning::Devnet,
    replay::{DurableStore, MemoryStore},
    server::{BoxError, Paywall, PaywallBuilder, RouteTable},
};

use self::arguments::{Arguments, Route, USAGE};

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
    let end = serving::End::new()?;
    let api = listen(arguments.listen, "--listen").await?;
    let wallet = listen(arguments.wallet, "--wallet").await?;
    let (api_address, wallet_address) = (api.local_addr()?, wallet.local_addr()?);
    let origin = arguments
        .origin
        .clone()
        .unwrap_or_else(|| format!("http://{api_address}"));

    let devnet = Devnet::start().await?;
    let paywall = Paywall::builder(devnet.server()).insecure_origin(&origin);
    let paywall = arguments
        .unpaid
        .into_iter()
        .fold(paywall, |paywall, unpaid| {
            paywall.max_unpaid_per_client(unpaid.get())
        });
    let paywall = remember(paywall, arguments.store.as_deref())?.build()?;
    let layer = paywall.routes(table(&arguments.routes))?;
    let mut service = Router::new().fallback(answer).layer(layer);
    if !arguments
        .routes
        .iter()
        .any(|route| route.rule.ends_with(described::PATH))
    {
        let described = described::openapi(&arguments.routes, &origin);
        service = service.route(described::PATH, get(async || Json(described)));
    }

    println!(
        "the money is pretend: two Lightning nodes on regtest and the channel between them are within this process"
    );
    for route in &arguments.routes {
        println!("route {route}");
    }
    println!("origin {origin}");
    println!("api http://{api_address}");
    println!("wallet http://{wallet_address}");
    println!(
        "pay an invoice: curl -s http://{wallet_address}/v1/channels/transactions -d '{{\"payment_request\":\"INVOICE\"}}'"
    );
    println!(
        "its payment_preimage is base64; an L402 credential wants it in hex: echo PREIMAGE | base64 -d | xxd -p -c 64"
    );
    if arguments.store.is_some() && arguments.origin.is_none() && arguments.listen.port() == 0 {
        eprintln!(
            "what is bought is bound to the origin: give --listen a fixed port, or --origin, to redeem it after a restart"
        );
    }

    serving::serve(
        end,
        [(api, service), (wallet, wallet::router(devnet.client()))],
    )
    .await?;
    Ok(())
}

/// What is sold: where it was asked for, and what was paid for it.
async fn answer(OriginalUri(uri): OriginalUri, paid: Option<Paid>) -> Json<Value> {
    Json(json!({ "path": uri.path(), "receipt": paid.map(|Paid(receipt)| receipt.to_string()) }))
}

fn table(routes: &[Route]) -> RouteTable {
    let table = routes.iter().fold(RouteTable::new(), |table, route| {
        if route.price.is_zero() {
            table.free(&route.rule)
        } else {
            table.charge(&route.rule, route.charge())
        }
    });
    table.otherwise_refuse()
}

/// Where spent payments are remembered, and the secret that everything is derived from.
fn remember(paywall: PaywallBuilder, folder: Option<&Path>) -> Result<PaywallBuilder, BoxError> {
    let Some(folder) = folder else {
        return Ok(paywall
            .master_secret(kept::passing_secret()?)
            .replay_store(MemoryStore::new()?));
    };
    let secret = kept::master_secret(folder)?;
    Ok(paywall
        .master_secret(secret)
        .replay_store(DurableStore::open(folder.join("replay"))?))
}

async fn listen(address: SocketAddr, option: &str) -> Result<TcpListener, BoxError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("{option} {address}: {error}").into())
}
