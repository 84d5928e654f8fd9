//! Asks on the terminal before each payment above 5 sat.
//!
//! `cargo run --example approve` runs two paid tools and two Lightning nodes in this process. Answer
//! `y` to pay, `p` to let somebody decide later, and anything else to refuse.
#![allow(clippy::print_stdout, reason = "this is what the example is for")]

#[path = "agent/tools.rs"]
mod tools;

use std::error::Error;

use tower_x402::{
    Amount, Devnet, PayingClient, Wallet,
    client::{ApprovalRequest, Decision, Policy, approve_fn},
    ledger::Budget,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let devnet = Devnet::start().await?;
    let origin = tools::serve(&devnet, &[("/cheap", 5), ("/dear", 50)]).await?;
    let wallet = Wallet::builder(devnet.client())
        .budget(Budget::daily(Amount::from_sat(500)))
        .policy(Policy::new().allow_private_addresses())
        .approver(approve_fn(ask))
        .build()
        .await?;
    let client = PayingClient::new(wallet.clone())?;
    for path in ["/cheap", "/dear", "/dear"] {
        match client.get(format!("{origin}{path}")).send().await {
            Ok(answer) => println!("{path}: {}", answer.text().await?),
            Err(error) => {
                println!("{path}: {error}");
                if let Some(id) = error.parked() {
                    // A person approves it, perhaps in another process. The same request is then paid.
                    wallet.ledger().approvals().approve(id)?;
                }
            }
        }
    }
    println!("{} spent", wallet.budget()?.spent);
    Ok(())
}

fn ask(request: &ApprovalRequest) -> impl Future<Output = Decision> + Send + use<> {
    let is_small = request.amount <= Amount::from_sat(5);
    let question = format!(
        "pay {} and at most {} of fee for {} {}? [y/p/n]",
        request.amount, request.max_fee, request.method, request.url,
    );
    async move {
        if is_small {
            return Decision::Approve;
        }
        println!("{question}");
        let read = tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await;
        match read
            .ok()
            .flatten()
            .and_then(Result::ok)
            .as_deref()
            .map(str::trim)
        {
            Some("y") => Decision::Approve,
            Some("p") => Decision::Park,
            _ => Decision::Refuse,
        }
    }
}
