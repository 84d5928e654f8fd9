//! The balancer's front door, and a client that pays.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use http::StatusCode;
use tower_x402::{
    Amount, PayingClient, Wallet, client::Policy, ledger::Budget, lightning::LocalNode,
    server::BoxError,
};

use crate::cluster::{Answer, Balancer};

/// How many requests for one use a client makes, and how many for three uses.
const REQUESTS: usize = 6;

/// The largest body that the balancer passes on, in bytes.
const LARGEST: usize = 1 << 20;

/// Returns the routes of the balancer, which clients call.
pub(crate) fn front(balancer: Arc<Balancer>) -> Router {
    Router::new().fallback(pass).with_state(balancer)
}

async fn pass(
    State(balancer): State<Arc<Balancer>>,
    request: Request,
) -> Result<Response, StatusCode> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LARGEST).await;
    let body = body.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    match balancer.send(Request::from_parts(head, body)).await {
        Answer::From(_, answer) => Ok(answer.map(Body::from)),
        Answer::Broken(_) => Err(StatusCode::BAD_GATEWAY),
        Answer::Silent(_) => Err(StatusCode::GATEWAY_TIMEOUT),
        Answer::NoProcess => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// What became of a client's requests.
pub(crate) struct Client {
    /// Which process served each.
    pub(crate) served_by: Vec<String>,
    pub(crate) paid: Amount,
}

/// Makes requests, and pays for them: each, or one in three if a payment opens three.
pub(crate) async fn shop(node: LocalNode, origin: &str) -> Result<Client, BoxError> {
    let wallet = Wallet::builder(node)
        .budget(Budget::total(Amount::from_sat(200)))
        .policy(Policy::new().allow_private_addresses())
        .build()
        .await?;
    let client = PayingClient::new(wallet.clone())?;
    let mut served_by = Vec::new();
    for _ in 0..REQUESTS {
        for path in ["/once", "/thrice"] {
            let answer = client.post(format!("{origin}{path}")).send().await?;
            let answer = answer.error_for_status()?.text().await?;
            let (process, _receipt) = answer.split_once(" served ").unwrap_or_default();
            served_by.push(process.to_owned());
        }
    }
    let paid = wallet.budget()?.spent;
    Ok(Client { served_by, paid })
}
