//! An axum server behind the middleware of the `toll-booth` crate. Its invoices come from the test
//! that started it.

use std::{collections::HashMap, env, error::Error, net::SocketAddr, sync::Arc};

use axum::{Json, Router, body::Bytes, extract::Query, routing::post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use toll_booth::{
    BackendError, Invoice, InvoiceStatus, L402Rail, L402RailConfig, LightningBackend,
    MemoryStorage, PricingEntry, RootKey, TollBoothConfig, TollBoothEngine, TollBoothLayer,
};

const PRICE: u64 = 25;

/// The node of the test, behind its HTTP interface.
struct Source {
    client: reqwest::Client,
    url: String,
}

#[async_trait::async_trait]
impl LightningBackend for Source {
    async fn create_invoice(
        &self,
        amount_sats: u64,
        memo: Option<&str>,
    ) -> Result<Invoice, BackendError> {
        let order = json!({ "msat": amount_sats * 1000, "seconds": 300, "text": memo.unwrap_or("a scene") });
        let answer = self.client.post(&self.url).json(&order).send().await;
        let made: Value = read(answer).await?;
        let text = |name: &str| made[name].as_str().map(str::to_owned);
        let missing = || BackendError::Request(format!("no invoice: {made}"));
        Ok(Invoice {
            bolt11: text("invoice").ok_or_else(missing)?,
            payment_hash: text("paymentHash").ok_or_else(missing)?,
        })
    }

    async fn check_invoice(&self, payment_hash: &str) -> Result<InvoiceStatus, BackendError> {
        let url = format!("{}/{payment_hash}", self.url);
        let seen: Value = read(self.client.get(url).send().await).await?;
        Ok(InvoiceStatus {
            paid: seen["settled"] == true,
            preimage: None,
        })
    }
}

async fn read(answer: reqwest::Result<reqwest::Response>) -> Result<Value, BackendError> {
    let failed = |error: reqwest::Error| BackendError::Request(error.to_string());
    let answer = answer.and_then(reqwest::Response::error_for_status);
    answer.map_err(failed)?.json().await.map_err(failed)
}

async fn render(Query(asked): Query<HashMap<String, String>>, body: Bytes) -> Json<Value> {
    Json(json!({ "size": asked.get("size"), "length": body.len() }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let source = Source {
        client: reqwest::Client::new(),
        url: env::var("INVOICES")?,
    };
    let root_key = || RootKey::from_hex(&"5a".repeat(32));
    let storage = Arc::new(MemoryStorage::new());
    let rail = L402Rail::new(L402RailConfig {
        root_key: root_key()?,
        storage: storage.clone(),
        default_amount: PRICE,
        backend: Some(Arc::new(source)),
        service_name: Some("a scene".to_owned()),
    });
    let engine = TollBoothEngine::new(TollBoothConfig {
        storage,
        pricing: HashMap::from([("/render".to_owned(), PricingEntry::Simple(PRICE))]),
        root_key: Some(root_key()?),
        rails: vec![Box::new(rail)],
        ..TollBoothConfig::default()
    })?;
    let app = Router::new()
        .route("/render", post(render))
        .layer(TollBoothLayer::new(engine));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("> http://{}", listener.local_addr()?);
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, service).await?)
}
