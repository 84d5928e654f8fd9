//! In each dialect: a request that is paid through a channel between two Lightning nodes, and
//! served once.

use axum::{Router, routing::post};
use http::{HeaderMap, Method, StatusCode};
use tower_x402::{
    Amount, Devnet, DialectName, Network, Paid,
    lightning::{InvoiceStatus, Receiver as _},
};

use crate::{
    buyer::Payable,
    site::{Client, Place, send},
};

const BODY: &[u8] = b"a scene";
const PRICE: Amount = Amount::from_sat(25);

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
    let payable = Payable::of(dialect, Network::Regtest, &url, BODY, asked.headers());
    let headers = payable.pay(&devnet.client(), PRICE).await;

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
