//! An agent that sells a forecast, buys the weather to deliver it, and prints its balance sheet from
//! one ledger.
//!
//! `cargo run --example earn_and_spend` runs everything in this process, with two Lightning nodes.
#![allow(clippy::print_stdout, reason = "this is what the example is for")]

#[path = "agent/tools.rs"]
mod tools;

use std::error::Error;

use axum::{Router, http::StatusCode, routing::get};
use tokio::net::TcpListener;
use tower_x402::{
    Amount, Devnet, MemoryStore, PayingClient, Paywall, Wallet,
    client::Policy,
    ledger::{Budget, Ledger},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let devnet = Devnet::start().await?;
    let weather = tools::serve(&devnet, &[("/weather", 10)]).await?;
    let policy = || Policy::new().allow_private_addresses();

    // The agent: one ledger for what it spends and for what it earns.
    let ledger = Ledger::in_memory();
    let agent = Wallet::builder(devnet.client())
        .budget(Budget::daily(Amount::from_sat(500)))
        .ledger(ledger.clone())
        .policy(policy())
        .build()
        .await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let folder = tempfile::tempdir()?;
    let secret = tools::secret_file::create(folder.path(), "master-secret")?;
    let paywall = Paywall::builder(devnet.server())
        .origin(&origin)
        .master_secret(std::fs::read(secret)?)
        .replay_store(MemoryStore::new()?)
        .build()?;
    let income = (paywall.settlements(1_000), ledger.clone());
    tokio::spawn(async move { income.1.record_settlements(income.0).await });
    let buys = PayingClient::new(agent)?;
    let forecast = async move || {
        let bought = buys.get(format!("{weather}/weather")).send().await;
        let answer = bought.map_err(|_| StatusCode::BAD_GATEWAY)?;
        let now = answer.text().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        Ok::<_, StatusCode>(format!("today {now}, tomorrow too"))
    };
    let sells = get(forecast).route_layer(paywall.charge(Amount::from_sat(25))?);
    let app = Router::new().route("/forecast", sells);
    tokio::spawn(async move { axum::serve(listener, app).await });

    // Its customer, with a wallet of its own.
    let customer = Wallet::builder(devnet.client())
        .budget(Budget::total(Amount::from_sat(200)))
        .policy(policy())
        .build()
        .await?;
    let customer = PayingClient::new(customer)?;
    for _ in 0..3 {
        let answer = customer.get(format!("{origin}/forecast")).send().await?;
        println!("{}: {}", answer.status(), answer.text().await?);
    }

    let totals = ledger.totals()?;
    println!("\nhost: earned, spent");
    for (host, total) in &totals.by_host {
        println!("{host}: {}, {}", total.earned, total.spent);
    }
    println!("in all: {}, {}", totals.all.earned, totals.all.spent);
    Ok(())
}
