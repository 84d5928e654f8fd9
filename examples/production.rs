//! A production set-up: a durable store of spent payments, the master secrets in a file, rotation
//! without a restart, and revocation of a payment.
//!
//! `cargo run --example production`

use std::{
    error::Error,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body, routing::get};
use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use tower::ServiceExt as _;
use tower_x402::{
    Amount, Charge, DurableStore, Invoice, PaymentHash, Paywall, Secrets, clock::Timestamp, l402,
    lightning::LocalNode, replay::Revocations,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?; // in production: a folder that survives restarts, such as /var/lib/archive
    let file = folder.path().join("master-secret");
    // In production make each secret by hand, once: `(umask 077; openssl rand -hex 32 >> master-secret)`.
    let (old, new) = (Secrets::generate()?, Secrets::generate()?);
    write_list(&file, &[&old])?;
    let node = LocalNode::new(); // in production: your own node, see the example `own_node`

    // This folder remembers which payments are spent or revoked. Never restore an older copy of it.
    let store = Arc::new(DurableStore::open(folder.path().join("spent"))?);
    let revocations = Revocations::load(store.clone()).await?;
    let secrets = Secrets::from_file(&file)?;
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

    // To rotate, first add the new secret at the end on every server, and reload every server: each
    // call of `reload` may be the answer to a signal. Then move it to the top, and reload them again.
    write_list(&file, &[&old, &new])?;
    secrets.reload()?;
    write_list(&file, &[&new, &old])?;
    assert!(secrets.reload()?, "the new secret mints");
    assert_eq!(ask(&app, Some(&old_token)).await?.status(), StatusCode::OK);
    println!("rotated the secret: the token of the old one is still accepted");

    // Remove the old secret after its last token has expired. Here it has not expired, so its owner
    // would have to pay again.
    write_list(&file, &[&new])?;
    secrets.reload()?;
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

/// Replaces the file at once, so that nobody reads half of it. Only the owner can read it.
fn write_list(path: &Path, secrets: &[&str]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    for secret in secrets {
        writeln!(file, "{secret}")?;
    }
    file.sync_all()?;
    fs::rename(new, path)
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
