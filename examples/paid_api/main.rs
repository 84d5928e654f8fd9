//! A paid API that keeps running, for testing paying clients in any language.
//!
//! It is paid over a real Lightning channel, but with money that is not real. Its wallet implements
//! part of LND's REST interface.
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
//! Then run these commands in a second terminal: they request, pay, and request again. They use
//! L402, because MPP and x402 are too complex for a shell.
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
//! # How it is built
//!
//! The wallet, and the code that runs several servers at once, are in `tests/fixtures/`. The
//! example `facilitator` uses them too. In `scripts/interop`, released clients of each dialect pay
//! this server.
#![allow(
    clippy::print_stdout,
    reason = "a client reads its addresses from the output"
)]

mod arguments;
mod openapi;
mod secret;
#[path = "../../tests/fixtures/serving.rs"]
mod serving;
#[path = "../../tests/fixtures/wallet/mod.rs"]
mod wallet;

use std::{net::SocketAddr, path::Path, process::ExitCode};

use axum::{Json, Router, body::Body, extract::OriginalUri, routing::get};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_x402::{
    Paid,
    lightning::Devnet,
    replay::{DurableStore, MemoryStore},
    server::{BoxError, KeptAnswers, Paywall, PaywallBuilder, RouteTable},
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
    let layer = paywall.routes(table(&arguments)?)?;
    let mut service = Router::new().fallback(answer).layer(layer);
    if !arguments
        .routes
        .iter()
        .any(|route| route.rule.ends_with(openapi::PATH))
    {
        let document = openapi::document(&arguments.routes, &origin);
        service = service.route(openapi::PATH, get(async || Json(document)));
    }

    println!(
        "the money is not real: two Lightning nodes on regtest and their channel run inside this process"
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
    println!("node lnd+http://{wallet_address}?macaroon_hex=02");
    println!(
        "its payment_preimage is base64, and an L402 credential needs hex: echo PREIMAGE | base64 -d | xxd -p -c 64"
    );
    if arguments.store.is_some() && arguments.origin.is_none() && arguments.listen.port() == 0 {
        eprintln!(
            "payments are bound to the origin: to redeem them after a restart, give --listen a fixed port, or set --origin"
        );
    }

    serving::serve(
        end,
        [(api, service), (wallet, wallet::router(devnet.client()))],
    )
    .await?;
    Ok(())
}

/// Handles every route: returns the path of the request and its receipt. It reads the body to its
/// end, as an upload's handler does: some bodies are bound to no payment, and the layer leaves them
/// unread. A server that answers before that closes the connection.
async fn answer(OriginalUri(uri): OriginalUri, paid: Option<Paid>, mut body: Body) -> Json<Value> {
    while let Some(Ok(_)) = body.frame().await {}
    Json(json!({ "path": uri.path(), "receipt": paid.map(|Paid(receipt)| receipt.to_string()) }))
}

fn table(arguments: &Arguments) -> Result<RouteTable, BoxError> {
    let kept = match arguments.keeps_answers {
        true => Some(KeptAnswers::new(MemoryStore::new()?)),
        false => None,
    };
    let charge = |route: &Route| match &kept {
        // What opens several requests has several answers.
        Some(kept) if route.is_once() => route.charge().keep_answers(kept.clone()),
        _ => route.charge(),
    };
    let table = RouteTable::new();
    let table = arguments.routes.iter().fold(table, |table, route| {
        if route.price.is_zero() {
            table.free(&route.rule)
        } else {
            table.charge(&route.rule, charge(route))
        }
    });
    Ok(table.otherwise_refuse())
}

/// Sets the store of spent payments and the master secret.
fn remember(paywall: PaywallBuilder, folder: Option<&Path>) -> Result<PaywallBuilder, BoxError> {
    let Some(folder) = folder else {
        return Ok(paywall
            .master_secret(secret::temporary()?)
            .replay_store(MemoryStore::new()?));
    };
    let secret = secret::master_secret(folder)?;
    Ok(paywall
        .master_secret(secret)
        .replay_store(DurableStore::open(folder.join("replay"))?))
}

async fn listen(address: SocketAddr, option: &str) -> Result<TcpListener, BoxError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("{option} {address}: {error}").into())
}
