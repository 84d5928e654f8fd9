//! The layer around a plain hyper service, without axum. One path is free, the other costs 10 sat.
//!
//! `cargo run --example hyper_only`

use std::{convert::Infallible, error::Error};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tower::{Layer, service_fn};
use tower_x402::{
    Amount, MemoryStore, PaymentReceipt, Paywall, RouteTable, body::RequestBody,
    lightning::LocalNode,
};

mod secret_file;

async fn answer(
    request: Request<RequestBody<Incoming>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = match request.extensions().get::<PaymentReceipt>() {
        Some(receipt) => format!("{receipt}\n"),
        None => "free\n".to_owned(),
    };
    Ok(Response::new(Full::from(text)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let secret = secret_file::create(folder.path(), "master-secret")?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let paywall = Paywall::builder(LocalNode::new())
        .origin(&origin)
        .master_secret(std::fs::read(secret)?)
        .replay_store(MemoryStore::new()?)
        .build()?;
    let table = RouteTable::new()
        .charge("GET /paid", Amount::from_sat(10))
        .otherwise_free();
    let service = paywall.routes(table)?.layer(service_fn(answer));

    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                let _ = connection.with_upgrades().await;
            });
        }
    });

    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    for path in ["/free", "/paid"] {
        let answer = client.get(format!("{origin}{path}").parse()?).await?;
        println!("GET {path}: {}", answer.status());
        println!(
            "{}",
            String::from_utf8_lossy(&answer.into_body().collect().await?.to_bytes())
        );
    }
    Ok(())
}
