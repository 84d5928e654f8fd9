//! One purchase from a server of another project.

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use tower_x402::{Amount, DialectName, Invoice, Network, lightning::Payer};

use crate::{
    buyer::Payable,
    site::{Client, send},
};

pub(crate) const PRICE: Amount = Amount::from_sat(25);
const BODY: &[u8] = b"a scene";

/// A paid request and the answer to it.
pub(crate) struct Purchase {
    pub(crate) invoice: Invoice,
    /// The header that proves the payment.
    pub(crate) proof: HeaderMap,
    pub(crate) answer: Response<Bytes>,
}

/// Sends the request that all of these servers sell: `POST /render?size=2` with a body.
pub(crate) async fn ask(client: &Client, origin: &str, headers: HeaderMap) -> Response<Bytes> {
    let url = format!("{origin}/render?size=2");
    send(client, Method::POST, &url, headers, BODY).await
}

/// Asks, pays exactly the price on regtest, and asks again with the proof. The handler must have
/// got the query and the whole body.
pub(crate) async fn buy(
    client: &Client,
    origin: &str,
    dialect: DialectName,
    payer: &impl Payer,
) -> Purchase {
    let asked = ask(client, origin, HeaderMap::new()).await;
    assert_eq!(asked.status(), StatusCode::PAYMENT_REQUIRED, "{asked:?}");
    let url = format!("{origin}/render?size=2");
    let payable = Payable::of(dialect, Network::Regtest, &url, BODY, asked.headers());
    let proof = payable.pay(payer, PRICE).await;
    let answer = ask(client, origin, proof.clone()).await;
    expect_served(&answer);
    Purchase {
        invoice: payable.invoice().clone(),
        proof,
        answer,
    }
}

/// Expects the answer of the handler.
#[track_caller]
pub(crate) fn expect_served(answer: &Response<Bytes>) {
    assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
    let seen: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(
        seen,
        serde_json::json!({ "size": "2", "length": BODY.len() })
    );
}
