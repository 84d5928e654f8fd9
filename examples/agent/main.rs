//! An agent with 500 sat a day and a budget for each of its tools. It buys until a budget stops it,
//! and prints what it spent.
//!
//! `cargo run --example agent` runs the tools and two Lightning nodes in this process. To buy from
//! another process, and to kill the agent in between, start `cargo run --example paid_api`, and then
//! `cargo run --example agent -- http://127.0.0.1:PORT 'lnd+http://127.0.0.1:PORT?macaroon_hex=02' agent-ledger`
#![allow(clippy::print_stdout, reason = "this is what the example is for")]

mod tools;

use std::{error::Error, sync::Arc};

use tower_x402::{
    Amount, Devnet,
    client::{PayErrorKind, PayingClient, Policy, Wallet},
    ledger::{Budget, Ledger},
    lightning::{self, Payer},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let (origin, payer, ledger): (_, Arc<dyn Payer>, _) = match &words[..] {
        [origin, node, folder] => {
            let node = lightning::connect(node).await?;
            (origin.clone(), node.payer()?, Ledger::open(folder)?)
        }
        [] => {
            let devnet = Devnet::start().await?;
            let payer = Arc::new(devnet.client());
            let prices = [("/weather/{city}", 30)];
            (
                tools::serve(&devnet, &prices).await?,
                payer,
                Ledger::in_memory(),
            )
        }
        _ => return Err("expected no arguments, or three: an origin, a node and a folder".into()),
    };
    let policy = Policy::new().max_fee(Amount::from_sat(1));
    let policy = policy.allow_private_addresses();
    let agent = Wallet::builder(payer)
        .budget(Budget::daily(Amount::from_sat(500)))
        .ledger(ledger.clone())
        .policy(policy)
        .build()
        .await?;
    println!("left by an earlier run: {:?}", agent.recover().await?);
    let mut tools = Vec::new();
    for city in ["oslo", "lima", "pune"] {
        let wallet = agent
            .child(city, Budget::total(Amount::from_sat(200)))
            .await?;
        tools.push((city, PayingClient::new(wallet)?));
    }
    for (number, (city, client)) in tools.iter().cycle().enumerate() {
        let url = format!("{origin}/weather/{city}");
        match client.get(&url).send().await {
            Ok(answer) => println!("{number}: {} {}", answer.status(), answer.text().await?),
            Err(error) if error.kind() == PayErrorKind::NotPaid => {
                println!("{number}: stopped: {error}");
                break;
            }
            Err(error) => return Err(error.to_string().into()),
        }
    }

    for (budget, total) in &ledger.totals()?.by_budget {
        println!(
            "{budget:<20} {:>2} payments {:>8}",
            total.payments,
            total.spent.to_string()
        );
    }
    let budget = agent.budget()?;
    println!(
        "{} spent, {} left",
        budget.spent,
        budget.remaining.unwrap_or_default()
    );
    Ok(())
}
