//! A price that depends on the request: one satoshi a page. A single page is free, and more than
//! 100 pages are refused.
//!
//! Everything that the price function reads is bound to the payment. A credential for 2 pages does
//! not open 50.
//!
//! `cargo run --example price_by_request`

use std::error::Error;

use axum::{Router, body::Body, routing::get};
use http::Request;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_x402::{
    Amount, Charge, MemoryStore, Paywall,
    lightning::LocalNode,
    price_fn,
    server::{BadRequest, BoxError, PriceRequest},
};

mod secret_file;

/// Returns the price, or `None` if the request is free. A `BadRequest` is answered with 400, any
/// other error with 503.
async fn per_page(request: PriceRequest) -> Result<Option<Amount>, BoxError> {
    let pages: u32 = request
        .query("pages")?
        .unwrap_or("1")
        .parse()
        .map_err(|_| BadRequest::new("pages: expected a number"))?;
    match pages {
        0 | 101.. => Err(BadRequest::new("pages: expected 1 to 100").into()),
        1 => Ok(None),
        pages => Ok(Some(Amount::from_sat(pages))),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let secret = secret_file::create(folder.path(), "master-secret")?;
    let paywall = Paywall::builder(LocalNode::new())
        .origin("https://api.example.com")
        .master_secret(std::fs::read(secret)?)
        .replay_store(MemoryStore::new()?)
        .build()?;
    let charge = Charge::new(price_fn(per_page)).description("printed pages");
    let app = Router::new().route(
        "/print",
        get(async || "printed\n").route_layer(paywall.charge(charge)?),
    );

    for path in [
        "/print",
        "/print?pages=2",
        "/print?pages=50",
        "/print?pages=1000",
        "/print?pages=many",
    ] {
        let answer = app
            .clone()
            .oneshot(Request::get(path).body(Body::empty())?)
            .await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        match body["accepts"][0]["amount_msat"].as_u64() {
            Some(msat) => println!("GET {path}: {status}, {}", Amount::from_msat(msat)),
            None => println!(
                "GET {path}: {status} {}",
                body["detail"].as_str().unwrap_or_default()
            ),
        }
    }
    Ok(())
}
