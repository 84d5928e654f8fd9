//! Receipts: an answer carries the one of its own dialect, or says why a proof was refused.

use axum::{Router, routing::get as on_get};
use http::StatusCode;
use tower_x402::{Amount, DialectName, mpp, x402};

use crate::{
    customer::{ALL, Call},
    dialects::{response_of, service},
    shop::{Shop, ask, problem},
};

#[tokio::test]
async fn an_answer_carries_the_receipt_of_its_dialect_and_no_other() {
    let shop = Shop::new();
    let app = service(&shop);
    for (path, status) in [("/weather", 200), ("/absent", 404), ("/broken", 502)] {
        for dialect in ALL {
            let call = Call::new("GET", path);
            let unpaid = ask(&app, call.request()).await;
            let challenge_id = mpp::Challenge::in_headers(unpaid.headers())[0]
                .id
                .to_string();
            let bought = shop.bought(&call, &unpaid);
            let served = ask(&app, call.with(bought.of(dialect)).request()).await;
            assert_eq!(served.status().as_u16(), status);
            let headers = served.headers();
            assert_eq!(
                headers.contains_key("payment-response"),
                dialect == DialectName::X402,
                "{path}"
            );
            assert_eq!(
                headers.contains_key("payment-receipt"),
                dialect == DialectName::Mpp && status == 200,
                "{path}"
            );
            assert!(
                !headers.contains_key("www-authenticate")
                    && !headers.contains_key("payment-required")
            );
            if dialect == DialectName::X402 {
                assert_eq!(
                    response_of(&served),
                    (true, bought.payment_hash.to_string())
                );
            }
            if headers.contains_key("payment-receipt") {
                let receipt = mpp::Receipt::in_headers(headers).unwrap();
                assert_eq!(
                    (receipt.challenge_id, receipt.reference),
                    (Some(challenge_id), bought.payment_hash.to_string())
                );
                assert_eq!(
                    (&*receipt.status, &*receipt.method),
                    ("success", "lightning")
                );
                assert_eq!(receipt.timestamp, "2026-09-21T14:13:20Z");
            }
        }
    }
}

#[tokio::test]
async fn a_receipt_of_another_server_behind_does_not_stand_before_ours() {
    let shop = Shop::new();
    let forwarded = on_get(async || {
        (
            [
                ("payment-response", "of another"),
                ("payment-receipt", "of another"),
            ],
            "sunny",
        )
    });
    let layer = shop
        .paywall_of_every_dialect()
        .charge(Amount::from_sat(10))
        .unwrap();
    let app = Router::new().route("/weather", forwarded.route_layer(layer));
    let call = Call::new("GET", "/weather");
    for (dialect, name) in [
        (DialectName::Mpp, "payment-receipt"),
        (DialectName::X402, "payment-response"),
    ] {
        let bought = shop.bought(&call, &ask(&app, call.request()).await);
        let served = ask(&app, call.with(bought.of(dialect)).request()).await;
        let lines: Vec<_> = served.headers().get_all(name).iter().collect();
        assert!(
            lines.len() == 1 && lines[0] != "of another",
            "{dialect}: {lines:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_x402_proof_has_a_response_and_a_fresh_requirement_that_tell_why() {
    let shop = Shop::new();
    let app = service(&shop);
    let call = Call::new("GET", "/weather");
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    let paid = call.with(bought.of(DialectName::X402));
    assert_eq!(ask(&app, paid.request()).await.status(), StatusCode::OK);
    let refused = ask(&app, paid.request()).await;
    assert_eq!(
        response_of(&refused),
        (false, "duplicate_settlement".to_owned())
    );
    assert_eq!(
        x402::Challenge::in_headers(refused.headers())[0].error(),
        Some("duplicate_settlement")
    );
    assert_eq!(
        (&problem(&refused)["dialect"], &problem(&refused)["reason"]),
        (&"x402".into(), &"duplicate_settlement".into())
    );
    // A refusal in another dialect leaves PAYMENT-RESPONSE out.
    let l402 = ask(&app, call.with(bought.of(DialectName::L402)).request()).await;
    assert!(!l402.headers().contains_key("payment-response"));
}
