//! An x402 facilitator for Lightning, which settles proofs for resource servers in any language.
//!
//! A node that makes invoices and a wallet that pays them run in the same process. So you can try a
//! resource server from end to end. The money is not real.
//!
//! `cargo run --example facilitator`
#![allow(
    clippy::print_stdout,
    reason = "a server reads its addresses from the output"
)]

#[path = "../tests/fixtures/serving.rs"]
mod serving;
#[path = "../tests/fixtures/wallet/mod.rs"]
mod wallet;

use std::{sync::Arc, time::Duration};

use axum::Router;
use tokio::net::TcpListener;
use tower_x402::{
    Network,
    facilitator::{BearerTokens, Facilitator},
    lightning::{Devnet, Receiver as _},
    replay::MemoryStore,
    server::BoxError,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let end = serving::End::new()?;
    // Create the store before the node, because the facilitator refuses invoices older than its
    // store.
    let store = Arc::new(MemoryStore::new()?);
    let devnet = Devnet::start().await?;
    let node = devnet.server();
    let key = const_hex::encode(
        node.profile()
            .public_key
            .ok_or("expected a node with a known public key")?,
    );
    let mut token = [0; 32];
    getrandom::fill(&mut token).map_err(|error| error.to_string())?;
    let token = const_hex::encode(token);

    let facilitator = Facilitator::builder(store, BearerTokens::new().with("shop", &token))
        .networks([Network::Regtest])
        .pay_to(&key)
        .skew(Duration::ZERO) // one machine has one clock; with the default, a new store settles nothing for two minutes
        .build()?;

    let listen = || TcpListener::bind("127.0.0.1:0");
    let (settling, receiving, paying) = (listen().await?, listen().await?, listen().await?);
    println!(
        "the money is not real: two Lightning nodes on regtest and their channel run inside this process"
    );
    println!("network {}", Network::Regtest.caip2());
    println!("payto {key}");
    println!("token {token}");
    println!("facilitator http://{}", settling.local_addr()?);
    println!("receiver http://{}", receiving.local_addr()?);
    println!("wallet http://{}", paying.local_addr()?);

    let facilitator = Router::new().fallback_service(facilitator);
    let servers = [
        (settling, facilitator),
        (receiving, wallet::router(node)),
        (paying, wallet::router(devnet.client())),
    ];
    Ok(serving::serve(end, servers).await?)
}
