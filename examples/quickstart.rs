//! A paid API and its first customer, with two real Lightning nodes in one process. It shows the
//! 402, the payment, the answer, and that a second use is refused.
//!
//! `cargo run --example quickstart`

use std::{error::Error, net::SocketAddr, time::Duration};

use axum::{Router, extract::Path, routing::get};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower_x402::{
    Amount, Devnet, Invoice, MemoryStore, Paid, Paywall, l402,
    lightning::{PayLimits, Payer, PaymentStatus},
};

mod secret_file;

async fn weather(Path(city): Path<String>, Paid(receipt): Paid) -> String {
    format!("sunny in {city}. Receipt: {receipt}")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The server: a node that receives payments, a paywall, and a route that costs 10 sat.
    let devnet = Devnet::start().await?;
    let folder = tempfile::tempdir()?;
    let secret = secret_file::create(folder.path(), "master-secret")?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let paywall = Paywall::builder(devnet.server())
        .origin(&origin)
        .master_secret_file(secret)
        .replay_store(MemoryStore::new()?)
        .build()?;
    let app = Router::new().route(
        "/weather/{city}",
        get(weather).route_layer(paywall.charge(Amount::from_sat(10))?),
    );
    tokio::spawn(async move {
        axum::serve(
            listener,
            app.into_make_service_with_connect_info::<SocketAddr>(),
        )
        .await
    });
    println!(
        "A paid API runs at {origin}. One Lightning node receives its payments, and another one pays."
    );
    println!(
        "Both are real LDK nodes with a channel between them. Only the money is not real (regtest).\n"
    );

    // The customer sends a request, reads the price, pays, and sends the request again.
    let client = Client::builder(TokioExecutor::new()).build_http();
    let url = format!("{origin}/weather/oslo");

    println!("1. GET {url}, without paying:");
    let answer = client
        .request(Request::get(&url).body(Empty::<Bytes>::new())?)
        .await?;
    expect(answer.status(), StatusCode::PAYMENT_REQUIRED)?;
    show(answer.status(), answer.headers());
    let challenge = l402::Challenge::in_headers(answer.headers())
        .into_iter()
        .next()
        .ok_or("no L402 challenge")?;

    let invoice = Invoice::parse(challenge.invoice())?;
    println!(
        "\n2. The wallet pays the invoice of {}.",
        invoice.amount().unwrap_or_default()
    );
    let limits = PayLimits::new(Amount::from_sat(1), Duration::from_secs(10));
    let PaymentStatus::Paid { preimage, fee } = devnet.client().pay(&invoice, limits).await? else {
        return Err("the payment did not succeed".into());
    };
    println!(
        "   Paid through the channel, for a routing fee of {fee}. The preimage that came back is the proof of payment."
    );

    println!("\n3. The same request again, with the proof:");
    let paid = Request::get(&url)
        .header("authorization", challenge.answer(&preimage))
        .body(Empty::new())?;
    let answer = client.request(paid.clone()).await?;
    expect(answer.status(), StatusCode::OK)?;
    show(answer.status(), answer.headers());
    println!(
        "   {}",
        String::from_utf8_lossy(&answer.into_body().collect().await?.to_bytes())
    );

    println!("\n4. The same proof once more:");
    let answer = client.request(paid).await?;
    expect(answer.status(), StatusCode::PAYMENT_REQUIRED)?;
    show(answer.status(), answer.headers());
    let problem: serde_json::Value =
        serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?;
    println!(
        "   {} ({}): {}",
        problem["title"], problem["reason"], problem["detail"]
    );
    println!(
        "\nOne payment bought one request. Next: `cargo run --example paid_api`, a server that keeps running."
    );
    Ok(())
}

fn expect(got: StatusCode, expected: StatusCode) -> Result<(), String> {
    if got == expected {
        Ok(())
    } else {
        Err(format!("expected {expected}, got {got}"))
    }
}

/// Prints the status and the payment headers, shortened.
fn show(status: StatusCode, headers: &HeaderMap) {
    println!("   {status}");
    for name in ["www-authenticate", "payment-required", "cache-control"] {
        for value in headers.get_all(name) {
            let text = String::from_utf8_lossy(value.as_bytes());
            let short: String = text.chars().take(64).collect();
            println!(
                "   {name}: {short}{}",
                if short.len() < text.len() { "..." } else { "" }
            );
        }
    }
}
