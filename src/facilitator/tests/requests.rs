//! Tests of which requests are answered, and how unknown callers and broken documents are refused.

use std::time::Duration;

use http::Method;

use super::*;
use crate::payment::Network;

#[tokio::test]
async fn unknown_callers_and_broken_documents_are_refused_by_status() {
    let stage = stage(|builder| builder);
    for token in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer tokens",
        "Basic token",
        "token",
    ] {
        let answer = stage
            .ask(
                Request::post("/settle").header("authorization", token),
                stage.document.to_string(),
            )
            .await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{token:?}");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    }
    let settle = || Request::post("/settle").header("authorization", "bearer token");
    let twice = stage
        .document
        .to_string()
        .replacen('{', "{\"x402Version\":2,", 1);
    let broken: [(Vec<u8>, StatusCode); 5] = [
        (twice.into(), StatusCode::BAD_REQUEST),
        (b"[]".to_vec(), StatusCode::BAD_REQUEST),
        (Vec::new(), StatusCode::BAD_REQUEST),
        (vec![0xff; 9], StatusCode::BAD_REQUEST),
        (vec![b' '; 64 * 1024 + 1], StatusCode::PAYLOAD_TOO_LARGE),
    ];
    for (body, status) in broken {
        assert_eq!(stage.ask(settle(), body).await.status(), status);
    }
    for (request, allowed, words) in [
        (Request::get("/settle"), "POST", "expected the method POST"),
        (Request::put("/verify"), "POST", "expected the method POST"),
        (
            Request::post("/supported"),
            "GET, HEAD",
            "expected the method GET or HEAD",
        ),
    ] {
        let answer = stage.ask(request, "").await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()["allow"], allowed);
        assert_eq!(body(answer).await, json!({"error": words}));
    }
    assert_eq!(
        stage.ask(Request::get("/"), "").await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(stage.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_above_its_rate_is_told_when_to_come_back() {
    let stage = stage(|builder| builder.rate(2, Duration::from_secs(3)));
    let verify = || Request::post("/verify").header("authorization", "Bearer token");
    for _ in 0..2 {
        assert_eq!(stage.ask(verify(), "").await.status(), StatusCode::OK);
    }
    let answer = stage.ask(verify(), "").await;
    assert_eq!(
        (answer.status(), &answer.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"2".parse().unwrap())
    );
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(stage.ask(verify(), "").await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_not_waited_for() {
    let stage = stage(|builder| builder);
    let stream = http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<http_body::Frame<Bytes>, std::io::Error>,
    >());
    let request = Request::post("/settle")
        .header("authorization", "Bearer token")
        .body(stream)
        .unwrap();
    let answer = stage.facilitator.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn verify_and_supported_answer_as_the_references_do() {
    let stage = stage(|builder| builder);
    let verify = Request::builder()
        .method(Method::POST)
        .uri("/verify")
        .header("authorization", "Bearer token");
    let verified = body(stage.ask(verify, stage.document.to_string()).await).await;
    assert_eq!(
        verified,
        json!({"isValid": false, "invalidReason": "invalid_exact_lnbtc_payment_flow"})
    );
    let supported = body(stage.ask(Request::get("/supported"), "").await).await;
    let kind = |network: Network| {
        let extra = json!({"assetTransferMethod": "bolt11", "paymentFlow": "upfront"});
        json!({"x402Version": 2, "scheme": "exact", "network": network.caip2(), "extra": extra})
    };
    let kinds = [kind(Network::Bitcoin), kind(Network::Testnet)];
    assert_eq!(
        supported,
        json!({"kinds": kinds, "extensions": [], "signers": {}})
    );
}
