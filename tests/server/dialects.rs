//! One payment in three dialects: redeemed in one of them, with the expiry and the refusals of each.

use std::time::Duration;

use axum::{Router, routing::get as on_get};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use tower_x402::{Amount, DialectName, x402};

use crate::{
    customer::{ALL, Call, PAYMENT_SIGNATURE},
    shop::{Shop, ask, problem, reason},
};

pub(crate) fn service(shop: &Shop) -> Router {
    let layer = shop
        .paywall_of_every_dialect()
        .charge(Amount::from_sat(10))
        .unwrap();
    let broken = on_get(async || StatusCode::BAD_GATEWAY).route_layer(layer.clone());
    let absent = on_get(async || StatusCode::NOT_FOUND).route_layer(layer.clone());
    Router::new()
        .route("/weather", on_get(async || "sunny").route_layer(layer))
        .route("/broken", broken)
        .route("/absent", absent)
}

fn spent(dialect: DialectName) -> &'static str {
    match dialect {
        DialectName::L402 => "spent",
        DialectName::Mpp => "invalid-challenge",
        _ => "duplicate_settlement",
    }
}

#[track_caller]
pub(crate) fn response_of(answer: &Response<Bytes>) -> (bool, String) {
    let response = x402::Receipt::in_headers(answer.headers()).unwrap();
    (
        response.is_success(),
        response
            .error_reason()
            .unwrap_or(response.transaction())
            .to_owned(),
    )
}

#[tokio::test]
async fn a_payment_redeemed_in_one_dialect_is_refused_in_every_other() {
    for first in ALL {
        for then in ALL {
            let shop = Shop::new();
            let app = service(&shop);
            let call = Call::new("GET", "/weather");
            let bought = shop.bought(&call, &ask(&app, call.request()).await);
            let served = ask(&app, call.with(bought.of(first)).request()).await;
            assert_eq!(served.status(), StatusCode::OK, "{first}");
            let refused = ask(&app, call.with(bought.of(then)).request()).await;
            assert_eq!(reason(&refused), spent(then), "{first}, then {then}");
            assert_eq!(
                shop.bought(&call, &refused).dialects(),
                ALL,
                "what cures it is there"
            );
        }
    }
}

#[tokio::test]
async fn a_payment_redeemed_in_one_dialect_is_refused_in_the_others_hours_later() {
    // The L402 token of the same invoice lives for 24 hours after the invoice's end.
    let last = 24 * 3600 + 299;
    for first in [DialectName::Mpp, DialectName::X402] {
        for later in [3600, 2 * 3600, 7 * 3600, 20 * 3600, last] {
            let shop = Shop::new();
            let app = service(&shop);
            let call = Call::new("GET", "/weather");
            let bought = shop.bought(&call, &ask(&app, call.request()).await);
            assert_eq!(
                ask(&app, call.with(bought.of(first)).request())
                    .await
                    .status(),
                StatusCode::OK
            );
            shop.clock.advance(Duration::from_secs(later));
            // Others buy, so that the store has reason to forget.
            for _ in 0..3 {
                let other = shop.bought(&call, &ask(&app, call.request()).await);
                assert_eq!(
                    ask(&app, call.with(other.of(DialectName::X402)).request())
                        .await
                        .status(),
                    StatusCode::OK
                );
            }
            let refused = ask(&app, call.with(bought.of(DialectName::L402)).request()).await;
            assert_eq!(reason(&refused), "spent", "{first}, {later} seconds later");
            shop.clock.advance(Duration::from_secs(last + 1 - later));
            assert_eq!(
                reason(&ask(&app, call.with(bought.of(DialectName::L402)).request()).await),
                "expired"
            );
        }
    }
}

#[tokio::test]
async fn each_dialects_credential_ends_when_it_says() {
    // Seconds after the invoice was made: the last moment of life.
    for (dialect, last, word) in [
        (DialectName::L402, 300 + 86_400 - 1, "expired"),
        (DialectName::Mpp, 300 - 1, "payment-expired"),
        (
            DialectName::X402,
            300 + 60,
            "invalid_exact_lnbtc_invoice_expired",
        ),
    ] {
        for (at, is_alive) in [(last, true), (last + 1, false)] {
            let shop = Shop::new();
            let app = service(&shop);
            let call = Call::new("GET", "/weather");
            let bought = shop.bought(&call, &ask(&app, call.request()).await);
            shop.clock.advance(Duration::from_secs(at));
            let answer = ask(&app, call.with(bought.of(dialect)).request()).await;
            match is_alive {
                true => assert_eq!(answer.status(), StatusCode::OK, "{dialect} at {at}"),
                false => assert_eq!(reason(&answer), word),
            }
        }
    }
}

#[tokio::test]
async fn two_dialects_in_one_request_are_400_and_spend_nothing() {
    let shop = Shop::new();
    let app = service(&shop);
    let call = Call::new("GET", "/weather");
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    for (one, other) in [(0, 1), (1, 2), (2, 0)].map(|(one, other)| (ALL[one], ALL[other])) {
        let both = call.with(bought.of(one)).with(bought.of(other));
        let answer = ask(&app, both.request()).await;
        assert_eq!(
            answer.status(),
            StatusCode::BAD_REQUEST,
            "{one} and {other}"
        );
        assert_eq!(
            problem(&answer)["detail"],
            "a request must carry the credential of one dialect only"
        );
    }
    let mpp = bought.of(DialectName::Mpp).1.to_str().unwrap();
    let l402 = bought.of(DialectName::L402).1.to_str().unwrap();
    let folded = call
        .clone()
        .header(header::AUTHORIZATION, &format!("{l402}, {mpp}"));
    assert_eq!(
        ask(&app, folded.request()).await.status(),
        StatusCode::BAD_REQUEST
    );
    // One that is broken beside one that is genuine is still two.
    let broken = call
        .with(bought.of(DialectName::L402))
        .header(PAYMENT_SIGNATURE, "e30=");
    assert_eq!(
        ask(&app, broken.request()).await.status(),
        StatusCode::BAD_REQUEST
    );
    for dialect in [DialectName::Mpp, DialectName::X402] {
        let twice = call.with(bought.of(dialect)).with(bought.of(dialect));
        assert_eq!(
            ask(&app, twice.request()).await.status(),
            StatusCode::BAD_REQUEST,
            "two of {dialect}"
        );
    }
    assert_eq!(shop.node.invoices_created(), 1);
    assert_eq!(
        ask(&app, call.with(bought.of(DialectName::X402)).request())
            .await
            .status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn several_l402_lines_are_one_credential() {
    let shop = Shop::new();
    let app = service(&shop);
    let call = Call::new("GET", "/weather");
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    let line = bought.of(DialectName::L402).1.to_str().unwrap();
    let call = call
        .header(header::AUTHORIZATION, "Bearer of-the-application")
        .header(header::AUTHORIZATION, "LSAT AAAA:00")
        .header(header::AUTHORIZATION, &line.replacen("L402", "lsat", 1));
    assert_eq!(ask(&app, call.request()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_macaroon_of_another_service_goes_by_untouched_and_is_no_second_dialect() {
    let shop = Shop::new();
    let layer = shop
        .paywall_of_every_dialect()
        .charge(Amount::from_sat(10))
        .unwrap();
    let seen = on_get(async |headers: HeaderMap| {
        headers["grpc-metadata-macaroon"]
            .to_str()
            .unwrap()
            .to_owned()
    });
    let app = Router::new().route("/weather", seen.route_layer(layer));
    for foreign in ["0201036c6e64", "not even hex"] {
        let call = Call::new("GET", "/weather").header("grpc-metadata-macaroon", foreign);
        for dialect in ALL {
            let bought = shop.bought(&call, &ask(&app, call.request()).await);
            let served = ask(&app, call.with(bought.of(dialect)).request()).await;
            assert_eq!(
                (served.status(), served.body().as_ref()),
                (StatusCode::OK, foreign.as_bytes()),
                "{dialect}"
            );
        }
    }
}

#[tokio::test]
async fn a_header_of_version_1_is_400_and_names_the_one_of_version_2() {
    let shop = Shop::new();
    let app = service(&shop);
    let answer = ask(
        &app,
        Call::new("GET", "/weather")
            .header("x-payment", "eyJ4NDAyVmVyc2lvbiI6MX0=")
            .request(),
    )
    .await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        problem(&answer)["detail"],
        "X-PAYMENT is of x402 version 1: use PAYMENT-SIGNATURE (x402 version 2)"
    );
    assert_eq!(shop.node.invoices_created(), 0);
}

#[tokio::test]
async fn a_failure_gives_back_what_l402_bought_and_leaves_the_others_spent() {
    let shop = Shop::new();
    let app = service(&shop);
    for (dialect, again) in [
        (DialectName::L402, ""),
        (DialectName::Mpp, "invalid-challenge"),
        (DialectName::X402, "duplicate_settlement"),
    ] {
        let call = Call::new("GET", "/broken");
        let bought = shop.bought(&call, &ask(&app, call.request()).await);
        let paid = call.with(bought.of(dialect));
        assert_eq!(
            ask(&app, paid.request()).await.status(),
            StatusCode::BAD_GATEWAY
        );
        let second = ask(&app, paid.request()).await;
        match again {
            "" => assert_eq!(second.status(), StatusCode::BAD_GATEWAY),
            word => assert_eq!(reason(&second), word),
        }
    }
}

#[tokio::test]
async fn a_price_that_is_no_whole_satoshi_leaves_payment_out_and_the_others_in() {
    let shop = Shop::new();
    let layer = shop
        .paywall_of_every_dialect()
        .charge(Amount::from_msat(1_500))
        .unwrap();
    let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
    let call = Call::new("GET", "/weather");
    let answer = ask(&app, call.request()).await;
    assert_eq!(
        shop.bought(&call, &answer).dialects(),
        [DialectName::L402, DialectName::X402]
    );
    let accepts: Vec<_> = problem(&answer)["accepts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["dialect"].clone())
        .collect();
    assert_eq!(accepts, ["l402", "x402"]);
}
