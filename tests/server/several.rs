//! Several L402 credentials in one request: the first valid one counts, and the others stay
//! unspent.

use axum::{Router, body::Body, routing::any};
use http::{HeaderValue, Request, StatusCode, header};
use tower_x402::{Amount, Charge, Invoice, clock::Timestamp, l402, price_fn, replay::Revocations};

use crate::shop::{Shop, ask, get, paid, reason};

fn app(shop: &Shop, charge: impl Into<Charge>) -> Router {
    let layer = shop.paywall().charge(charge).unwrap();
    Router::new().route("/a", any(async || "served").layer(layer))
}

fn bearing(lines: &[&HeaderValue]) -> Request<Body> {
    let mut request = get("/a");
    request.headers_mut().extend(
        lines
            .iter()
            .map(|line| (header::AUTHORIZATION, (*line).clone())),
    );
    request
}

#[tokio::test]
async fn a_spent_credential_hides_no_valid_one() {
    let sat = || Charge::new(Amount::from_sat(10));
    for charge in [sat(), sat().bind_headers(["x-plan"])] {
        let shop = Shop::new();
        let app = app(&shop, charge);
        let mut lines = Vec::new();
        for _ in 0..4 {
            lines.push(shop.buy(&app, get("/a")).await);
        }
        let all: Vec<_> = lines.iter().collect();
        for served in 0..4 {
            assert_eq!(
                ask(&app, bearing(&all)).await.status(),
                StatusCode::OK,
                "{served}"
            );
            for (at, line) in lines[..=served].iter().enumerate() {
                assert_eq!(
                    reason(&ask(&app, paid("/a", line)).await),
                    "spent",
                    "{at} after {served}"
                );
            }
        }
        assert_eq!(reason(&ask(&app, bearing(&all)).await), "spent");
        assert_eq!(
            shop.node.invoices_created(),
            4 + 1 + 2 + 3 + 4 + 1,
            "an invoice only where all were refused"
        );
    }
}

#[tokio::test]
async fn a_revoked_credential_hides_no_valid_one() {
    let shop = Shop::new();
    let revocations = Revocations::load(shop.store.clone()).await.unwrap();
    let layer = shop
        .builder()
        .revocations(revocations.clone())
        .build()
        .unwrap()
        .charge(Amount::from_sat(10))
        .unwrap();
    let app = Router::new().route("/a", any(async || "served").layer(layer));
    let answer = ask(&app, get("/a")).await;
    let revoked = shop.pay(&answer);
    let invoice =
        Invoice::parse(l402::Challenge::in_headers(answer.headers())[0].invoice()).unwrap();
    revocations
        .revoke(invoice.payment_hash(), Timestamp::MAX)
        .await
        .unwrap();
    let good = shop.buy(&app, get("/a")).await;
    assert_eq!(
        ask(&app, bearing(&[&revoked, &good])).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        reason(&ask(&app, bearing(&[&revoked, &good])).await),
        "spent"
    );
    assert_eq!(
        reason(&ask(&app, bearing(&[&good, &revoked])).await),
        "revoked"
    );
}

#[tokio::test]
async fn one_that_was_bought_for_another_body_hides_none_for_this() {
    let shop = Shop::new();
    let price = price_fn(|asked| async move {
        Ok(Some(Amount::from_sat(
            1 + u32::from(!asked.body().is_empty()),
        )))
    });
    let app = app(&shop, Charge::new(price).reads_body());
    let with_body = |lines: &[&HeaderValue]| bearing(lines).map(|_| Body::from("a scene"));
    let of_none = shop.buy(&app, get("/a")).await;
    let of_scene = shop.buy(&app, with_body(&[])).await;
    assert_eq!(
        ask(&app, with_body(&[&of_none, &of_scene])).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        reason(&ask(&app, with_body(&[&of_scene, &of_none])).await),
        "wrong_bound"
    );
    assert_eq!(
        ask(&app, bearing(&[&of_scene, &of_none])).await.status(),
        StatusCode::OK
    );
}
