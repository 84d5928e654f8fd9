//! The normal case: a price, a payment, one request.

use axum::{Router, extract::Path, routing::get as on_get};
use http::StatusCode;
use tower_x402::{Amount, Paid};

use crate::shop::{Shop, ask, get, paid, reason};

fn weather(shop: &Shop) -> Router {
    let layer = shop.paywall().charge(Amount::from_sat(10)).unwrap();
    let handler =
        |Path(city): Path<String>, Paid(receipt): Paid| async move { format!("{city}: {receipt}") };
    Router::new().route("/weather/{city}", on_get(handler).route_layer(layer))
}

#[tokio::test]
async fn one_payment_buys_one_request() {
    let shop = Shop::new();
    let app = weather(&shop);
    let credential = shop.buy(&app, get("/weather/oslo")).await;
    let served = ask(&app, paid("/weather/oslo", &credential)).await;
    assert_eq!(served.status(), StatusCode::OK);
    let text = String::from_utf8(served.body().to_vec()).unwrap();
    assert!(
        text.starts_with(
            "oslo: 10 sat paid by l402 for GET https://api.example.com/weather/oslo, payment "
        ),
        "{text}"
    );
    assert_eq!(served.headers()["cache-control"], "private");

    let again = ask(&app, paid("/weather/oslo", &credential)).await;
    assert_eq!(reason(&again), "spent");
    assert_eq!(again.headers()["cache-control"], "no-store");
    assert_eq!(shop.node.invoices_created(), 2);
}

#[tokio::test]
async fn a_method_that_the_route_does_not_have_stays_405_and_costs_no_invoice() {
    let shop = Shop::new();
    let answer = ask(
        &weather(&shop),
        crate::shop::request("POST", "/weather/oslo", None),
    )
    .await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(shop.node.invoices_created(), 0);
}
