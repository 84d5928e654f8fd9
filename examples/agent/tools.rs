//! Paid tools in this process.

#[path = "../secret_file/mod.rs"]
pub(crate) mod secret_file;

use std::error::Error;

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tower_x402::{Amount, Devnet, MemoryStore, Paywall};

/// Serves these paths at these prices in sat, and returns their origin.
pub(crate) async fn serve(
    devnet: &Devnet,
    prices: &[(&'static str, u32)],
) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let folder = tempfile::tempdir()?;
    let secret = secret_file::create(folder.path(), "master-secret")?;
    let paywall = Paywall::builder(devnet.server())
        .origin(&origin)
        .master_secret(std::fs::read(secret)?)
        .replay_store(MemoryStore::new()?)
        .build()?;
    let mut app = Router::new();
    for (path, price) in prices {
        let layer = paywall.charge(Amount::from_sat(*price))?;
        app = app.route(path, get(async || "sunny").route_layer(layer));
    }
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(origin)
}
