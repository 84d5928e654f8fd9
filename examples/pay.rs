//! Fetches one URL, pays for it if the server asks for that, and prints what it cost.
//!
//! Start `cargo run --example paid_api`. It prints the URL of its API and of a node. Then:
//!
//! `cargo run --example pay -- http://127.0.0.1:PORT/weather/oslo 'lnd+http://127.0.0.1:PORT?macaroon_hex=02'`
//!
//! The second argument is the URL of any node that `lightning::connect` connects. The ledger is the
//! folder `pay-ledger`. If an answer is lost, run the same command again: it presents the same
//! payment.
#![allow(clippy::print_stdout, reason = "this is what the example is for")]

use std::error::Error;

use tower_x402::{
    Amount,
    client::{PaidReceipt, PayingClient, Policy, Wallet},
    ledger::{Budget, Ledger},
    lightning,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(url), Some(node)) = (words.next(), words.next()) else {
        return Err("expected two arguments: a URL, and the URL of a node that pays (`cargo run --example paid_api` prints both)".into());
    };
    let node = lightning::connect(&node).await?;
    let wallet = Wallet::builder(node.payer()?)
        .budget(Budget::daily(Amount::from_sat(1_000)))
        .ledger(Ledger::open("pay-ledger")?)
        // This URL comes from a person. For URLs of strangers, leave this line out.
        .policy(Policy::new().allow_private_addresses())
        .build()
        .await?;

    let answer = PayingClient::new(wallet.clone())?.get(url).send().await;
    let answer = answer.map_err(|error| error.to_string())?; // it says whether money left
    let receipt = answer.extensions().get::<PaidReceipt>().cloned();
    println!("{}: {}", answer.status(), answer.text().await?);
    match receipt {
        Some(receipt) => println!(
            "it cost {} and a fee of {}, in {}",
            receipt.amount(),
            receipt.fee().unwrap_or_default(),
            receipt.dialect(),
        ),
        None => println!("it was free"),
    }
    println!(
        "left today: {}",
        wallet.budget()?.remaining.unwrap_or_default()
    );
    Ok(())
}
