//! Who paid what: a ledger of settled payments, written in a separate task that never delays an
//! answer.
//!
//! `cargo run --example settlements`

use std::error::Error;

use axum::{Router, body::Body, routing::get};
use http::{Request, StatusCode, header::AUTHORIZATION};
use tower::ServiceExt as _;
use tower_x402::{Amount, Invoice, MemoryStore, Paywall, l402, lightning::LocalNode};

mod secret_file;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let secret = secret_file::create(folder.path(), "master-secret")?;
    let node = LocalNode::new();
    let paywall = Paywall::builder(node.clone())
        .origin("https://api.example.com")
        .master_secret(std::fs::read(secret)?)
        .replay_store(MemoryStore::new()?)
        .build()?;
    // A stream that buffers up to 1,000 receipts. Further receipts are dropped and counted, so read
    // the stream in its own task.
    let mut settlements = paywall.settlements(1_000);
    let ledger = tokio::spawn(async move {
        let mut total_msat = 0;
        while let Some(receipt) = settlements.next().await {
            println!("{receipt}"); // or as JSON: a receipt implements `serde::Serialize`, and holds no secret
            total_msat += receipt.amount().map_or(0, Amount::as_msat);
        }
        (Amount::from_msat(total_msat), settlements.dropped())
    });

    let layer = paywall.charge(Amount::from_sat(10))?;
    drop(paywall); // the stream ends with the last handle: here, with the router
    let app = Router::new().route("/weather/{city}", get(async || "sunny").route_layer(layer));
    for city in ["oslo", "lima", "pune"] {
        let ask = Request::get(format!("/weather/{city}")).body(Body::empty())?;
        let unpaid = app.clone().oneshot(ask).await?;
        let challenge = l402::Challenge::in_headers(unpaid.headers()).remove(0);
        let invoice = Invoice::parse(challenge.invoice())?;
        let preimage = node.settle(invoice.payment_hash())?;
        let ask = Request::get(format!("/weather/{city}"))
            .header(AUTHORIZATION, challenge.answer(&preimage));
        assert_eq!(
            app.clone()
                .oneshot(ask.body(Body::empty())?)
                .await?
                .status(),
            StatusCode::OK
        );
    }
    drop(app);
    let (total, dropped) = ledger.await?;
    println!("{total} in all, {dropped} settlements dropped");
    Ok(())
}
