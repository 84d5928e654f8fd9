//! Settings that a gRPC method can keep, and those that it cannot.

use std::{num::NonZeroU32, time::Duration};

use http::StatusCode;
use tower::{Layer as _, service_fn};
use tower_x402::{Amount, Charge, Paywall, RouteTable, price_fn};

use crate::{
    calls::{METHOD, asks_to_pay, call, charge, served},
    customer::{ALL, Call},
    shop::{Shop, ask},
};

#[track_caller]
fn refuses(paywall: &Paywall, charge: Charge, text: &str) {
    let error = paywall.charge(charge).unwrap_err().to_string();
    assert!(error.contains(text), "{error}");
}

#[test]
fn what_a_method_cannot_keep_is_refused_and_the_fix_named() {
    let shop = Shop::new();
    let every = shop.paywall_of_every_dialect();
    let reads = || Charge::new(price_fn(|_| async { Ok(None) })).reads_body();
    refuses(&every, reads().grpc(), "leave out .reads_body()");
    refuses(
        &every,
        charge().bind_multipart(),
        "leave out .bind_multipart()",
    );
    refuses(
        &every,
        charge().earlier(reads()),
        "leave that .earlier(..) out",
    );
    for dialects in [&ALL[1..], &ALL[1..2], &ALL[2..]] {
        let paywall = shop
            .builder()
            .dialects(dialects.iter().copied())
            .build()
            .unwrap();
        refuses(&paywall, charge(), "enable l402");
    }
    for rule in ["GET /a.B/C", "PUT /a.B/C", "QUERY /a.B/C"] {
        let table = RouteTable::new().charge(rule, charge()).otherwise_free();
        let error = every.routes(table).unwrap_err().to_string();
        assert!(
            error.starts_with(rule) && error.contains("\"POST /package.Service/Method\""),
            "{error}"
        );
    }
    let table = RouteTable::new()
        .charge(format!("POST {METHOD}"), charge())
        .otherwise_free();
    let _ = every.routes(table).unwrap();
    for charge in [
        charge(),
        charge().for_duration(Duration::from_secs(60)),
        charge().uses(NonZeroU32::MIN),
        charge().stream_body(),
        charge().authorization_taken(),
    ] {
        let _ = every.charge(charge.earlier(Amount::from_sat(5))).unwrap();
    }
}

#[tokio::test]
async fn a_path_that_can_be_read_as_a_method_and_as_none_is_400() {
    let price = || Charge::new(Amount::from_sat(10));
    for (one, other, status) in [
        (charge(), charge(), StatusCode::OK),
        (price(), price(), StatusCode::PAYMENT_REQUIRED),
        (charge(), price(), StatusCode::BAD_REQUEST),
        (price(), charge(), StatusCode::BAD_REQUEST),
    ] {
        let table = RouteTable::new()
            .charge("POST /weather.Weather/{method}", one)
            .charge(format!("POST {METHOD}"), other)
            .otherwise_refuse();
        let shop = Shop::new();
        let app = shop
            .paywall()
            .routes(table)
            .unwrap()
            .layer(service_fn(served));
        let target = "/weather.Weather/%41sk".into();
        let answer = ask(&app, Call { target, ..call() }.request()).await;
        assert_eq!(answer.status(), status);
        if status == StatusCode::OK {
            asks_to_pay(&answer);
        }
    }
}
