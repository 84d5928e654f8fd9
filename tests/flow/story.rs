//! In each dialect: a request that is paid through a channel between two Lightning nodes, and
//! served once.

use std::time::Duration;

use axum::{Router, routing::post};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use sha2::{Digest as _, Sha256};
use tower_x402::{
    Amount, ClientConditions, ClientRequest, Devnet, DialectName, Invoice, Network, Paid, Preimage,
    clock::{Clock as _, SystemClock},
    l402,
    lightning::{InvoiceStatus, PayLimits, Payer, PaymentStatus, Receiver as _},
    mpp, x402,
};

use crate::site::{Client, Place, send};

const BODY: &[u8] = b"a scene";
const PRICE: Amount = Amount::from_sat(25);

/// Pays an invoice through the channel.
async fn pay(devnet: &Devnet, invoice: &Invoice) -> Preimage {
    assert_eq!(invoice.amount(), Some(PRICE));
    let limits = PayLimits::new(Amount::from_sat(1), Duration::from_secs(20));
    let PaymentStatus::Paid { preimage, .. } = devnet.client().pay(invoice, limits).await.unwrap()
    else {
        panic!("not paid")
    };
    preimage
}

/// Does what a client of this dialect does with a 402: pays, and returns the credential.
async fn credential(
    devnet: &Devnet,
    dialect: DialectName,
    url: &str,
    headers: &HeaderMap,
) -> (HeaderName, HeaderValue) {
    let request = ClientRequest::Http {
        method: "POST",
        url,
        headers: &HeaderMap::new(),
        body_hash: Sha256::digest(BODY).into(),
    };
    let conditions = ClientConditions::new(Network::Regtest, SystemClock::new().now());
    match dialect {
        DialectName::L402 => {
            let challenge = l402::Challenge::in_headers(headers).remove(0);
            let payable = l402::Payable::check(&challenge, &request, &conditions).unwrap();
            let preimage = pay(devnet, payable.invoice()).await;
            payable.credential(&preimage).unwrap()
        }
        DialectName::Mpp => {
            let challenge = mpp::Challenge::in_headers(headers).remove(0);
            let payable = mpp::Payable::check(&challenge, &request, &conditions).unwrap();
            let preimage = pay(devnet, payable.invoice()).await;
            payable.credential(&preimage).unwrap()
        }
        _ => {
            let challenge = x402::Challenge::in_headers(headers).remove(0);
            let payable = x402::Payable::check(&challenge, &request, &conditions).unwrap();
            let preimage = pay(devnet, payable.invoice()).await;
            payable.credential(&preimage).unwrap()
        }
    }
}

async fn story(dialect: DialectName) {
    let devnet = Devnet::start().await.unwrap();
    let place = Place::free().await;
    let url = format!("{}/render?size=2", place.origin);
    let paywall = place.builder(devnet.server()).build().unwrap();
    let mut settlements = paywall.settlements(4);
    let handler = async |Paid(receipt): Paid, body: String| {
        format!("{body} for {} by {}", receipt.payment(), receipt.dialect())
    };
    place.serve(Router::new().route(
        "/render",
        post(handler).route_layer(paywall.charge(PRICE).unwrap()),
    ));
    let client = Client::new();
    let had = devnet.client().spendable();

    let asked = send(&client, Method::POST, &url, HeaderMap::new(), BODY).await;
    assert_eq!(asked.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(asked.headers()["cache-control"], "no-store");
    let (name, value) = credential(&devnet, dialect, &url, asked.headers()).await;
    let headers = HeaderMap::from_iter([(name, value)]);

    let other_body = send(
        &client,
        Method::POST,
        &url,
        headers.clone(),
        b"another scene",
    )
    .await;
    let bodies_are_bound = dialect != DialectName::L402;
    assert_eq!(
        other_body.status() == StatusCode::PAYMENT_REQUIRED,
        bodies_are_bound
    );
    if bodies_are_bound {
        let served = send(&client, Method::POST, &url, headers.clone(), BODY).await;
        assert_eq!(served.status(), StatusCode::OK, "{served:?}");
        assert_eq!(served.body(), &format!("a scene for 25 sat by {dialect}"));
        assert_eq!(served.headers()["cache-control"], "private");
        let receipt = if dialect == DialectName::Mpp {
            "payment-receipt"
        } else {
            "payment-response"
        };
        assert!(served.headers().contains_key(receipt));
    }
    let again = send(&client, Method::POST, &url, headers, BODY).await;
    assert_eq!(again.status(), StatusCode::PAYMENT_REQUIRED);

    let told = settlements.next().await.unwrap();
    assert_eq!((told.amount(), told.dialect()), (Some(PRICE), dialect));
    assert_eq!(
        devnet
            .server()
            .lookup_invoice(told.payment_hash().unwrap())
            .await
            .unwrap(),
        InvoiceStatus::Settled
    );
    assert!(
        devnet.client().spendable().as_msat() <= had.as_msat() - PRICE.as_msat(),
        "the price must have moved"
    );
}

#[tokio::test]
async fn a_request_is_paid_through_a_channel_and_served_once_by_l402() {
    story(DialectName::L402).await;
}

#[tokio::test]
async fn a_request_is_paid_through_a_channel_and_served_once_by_mpp() {
    story(DialectName::Mpp).await;
}

#[tokio::test]
async fn a_request_is_paid_through_a_channel_and_served_once_by_x402() {
    story(DialectName::X402).await;
}
