//! A production set-up: a durable store of spent payments, the master secret in a file, rotation of
//! the secret, and revocation of a payment.
//!
//! `cargo run --example production`

use std::{error::Error, fs, sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::get};
use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use tower::ServiceExt as _;
use tower_x402::{
    Amount, Charge, DurableStore, Invoice, PaymentHash, Paywall, Secrets, clock::Timestamp, l402,
    lightning::LocalNode, replay::Revocations,
};

mod secret_file;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?; // in production: a folder that survives restarts, such as /var/lib/archive
    let first = secret_file::create(folder.path(), "master-secret-1")?;
    let node = LocalNode::new(); // in production: your own node, see the example `own_node`

    // This folder remembers which payments are spent or revoked. Never restore an older copy of it.
    let store = Arc::new(DurableStore::open(folder.path().join("spent"))?);
    let revocations = Revocations::load(store.clone()).await?;
    let secrets = Secrets::new(fs::read(&first)?)?;
    let paywall = Paywall::builder(node.clone())
        .origin("https://api.example.com")
        .secrets(secrets.clone())
        .replay_store(store)
        .revocations(revocations.clone())
        .build()?;
    let day = Charge::new(Amount::from_sat(500)).for_duration(Duration::from_secs(86_400));
    let app = Router::new().route(
        "/archive",
        get(async || "old news").route_layer(paywall.charge(day)?),
    );

    let (old_token, _) = buy(&app, &node).await?;
    assert_eq!(ask(&app, Some(&old_token)).await?.status(), StatusCode::OK);
    println!("bought a day of /archive");

    // To rotate, first add the new secret on every server. Then mint with it on every server.
    let second = secret_file::create(folder.path(), "master-secret-2")?;
    secrets.add(fs::read(&second)?)?;
    secrets.mint_with(fs::read(&second)?)?;
    assert_eq!(ask(&app, Some(&old_token)).await?.status(), StatusCode::OK);
    println!("rotated the secret: the token of the old one is still accepted");

    // Remove the old secret after its last token has expired. Here it has not expired, so its owner
    // would have to pay again.
    secrets.remove(fs::read(&first)?)?;
    assert_eq!(
        ask(&app, Some(&old_token)).await?.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    println!("removed the old secret: its token is refused");

    // Revoke one payment permanently. Other servers that share the records see it at their next
    // `refresh`.
    let (token, payment_hash) = buy(&app, &node).await?;
    assert_eq!(ask(&app, Some(&token)).await?.status(), StatusCode::OK);
    revocations.revoke(payment_hash, Timestamp::MAX).await?;
    assert_eq!(
        ask(&app, Some(&token)).await?.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    println!("revoked a payment: its token is refused");
    Ok(())
}

/// Reads the 402, pays its invoice, and returns the token with its proof of payment.
async fn buy(app: &Router, node: &LocalNode) -> Result<(HeaderValue, PaymentHash), Box<dyn Error>> {
    let challenge = l402::Challenge::in_headers(ask(app, None).await?.headers()).remove(0);
    let payment_hash = Invoice::parse(challenge.invoice())?.payment_hash();
    let preimage = node.settle(payment_hash)?;
    Ok((challenge.answer(&preimage), payment_hash))
}

async fn ask(app: &Router, token: Option<&HeaderValue>) -> Result<Response<Body>, Box<dyn Error>> {
    let mut request = Request::get("/archive").body(Body::empty())?;
    if let Some(token) = token {
        request.headers_mut().insert(AUTHORIZATION, token.clone());
    }
    Ok(app.clone().oneshot(request).await?)
}
