use std::time::Duration;

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tower_x402::{
    Amount, Preimage,
    lightning::{Description, Devnet, InvoiceRequest, Receiver as _},
};

async fn ask(wallet: &Router, method: &str, path: &str, body: &Value, agent: &str) -> (StatusCode, Vec<Value>) {
    let request = Request::builder().method(method).uri(path).header("user-agent", agent);
    let request = request.header("grpc-metadata-macaroon", "00").body(Body::from(body.to_string())).unwrap();
    let answer = wallet.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, body.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

async fn one(wallet: &Router, method: &str, path: &str, body: Value) -> (u16, Value) {
    let (status, mut lines) = ask(wallet, method, path, &body, "test").await;
    assert_eq!(lines.len(), 1, "{method} {path} answered {lines:?}");
    (status.as_u16(), lines.remove(0))
}

async fn invoice(devnet: &Devnet) -> tower_x402::Invoice {
    let what = Description::Text("a test".to_owned());
    let asked = InvoiceRequest::new(Amount::from_sat(10), what, Duration::from_secs(60));
    devnet.server().create_invoice(asked).await.unwrap()
}

#[tokio::test]
async fn a_payment_is_a_stream_that_ends_with_the_preimage() {
    let devnet = Devnet::start().await.unwrap();
    let wallet = super::router(devnet.client());
    let due = invoice(&devnet).await;
    let order = json!({"payment_request": due.as_str(), "timeout_seconds": 60, "fee_limit_msat": "1000"});
    let (status, lines) = ask(&wallet, "POST", "/v2/router/send", &order, "test").await;
    assert_eq!((status, lines.len()), (StatusCode::OK, 2));
    assert_eq!(lines[0]["result"]["status"], "IN_FLIGHT");
    assert_eq!(lines[0]["result"]["payment_preimage"], "0".repeat(64));
    let paid = &lines[1]["result"];
    assert_eq!((paid["status"].as_str(), paid["value_msat"].as_str()), (Some("SUCCEEDED"), Some("10000")));
    let preimage = Preimage::from_hex(paid["payment_preimage"].as_str().unwrap()).unwrap();
    assert!(due.payment_hash().is_of(&preimage));

    let (status, again) = one(&wallet, "POST", "/v2/router/send", order).await;
    assert_eq!((status, again["error"]["code"].as_u64()), (409, Some(6)));
    assert_eq!(again["error"]["message"], "invoice is already paid");
}

#[tokio::test]
async fn the_client_that_reads_base64_gets_base64() {
    let devnet = Devnet::start().await.unwrap();
    let wallet = super::router(devnet.client());
    let due = invoice(&devnet).await;
    let order = json!({"payment_request": due.as_str(), "no_inflight_updates": true});
    let (_, lines) = ask(&wallet, "POST", "/v2/router/send", &order, "l402-requests/0.9.0").await;
    assert_eq!(lines.len(), 1);
    let bytes = base64_simd::STANDARD.decode_to_vec(lines[0]["result"]["payment_preimage"].as_str().unwrap()).unwrap();
    assert!(due.payment_hash().is_of(&Preimage::from_bytes(bytes.try_into().unwrap())));
}

#[tokio::test]
async fn the_older_call_answers_once_and_tells_failure_in_it() {
    let devnet = Devnet::start().await.unwrap();
    let wallet = super::router(devnet.client());
    let due = invoice(&devnet).await;
    let order = json!({"payment_request": due.as_str()});
    let (status, paid) = one(&wallet, "POST", "/v1/channels/transactions", order.clone()).await;
    assert_eq!((status, paid["payment_error"].as_str()), (200, Some("")));
    let bytes = base64_simd::STANDARD.decode_to_vec(paid["payment_preimage"].as_str().unwrap()).unwrap();
    assert!(due.payment_hash().is_of(&Preimage::from_bytes(bytes.try_into().unwrap())));
    let (status, again) = one(&wallet, "POST", "/v1/channels/transactions", order).await;
    assert_eq!((status, again["payment_error"].as_str()), (200, Some("invoice is already paid")));
    assert_eq!(again["payment_preimage"], "");
}

#[tokio::test]
async fn it_makes_invoices_and_tells_what_became_of_them() {
    let devnet = Devnet::start().await.unwrap();
    let (wallet, other) = (super::router(devnet.client()), super::router(devnet.server()));
    let (_, made) = one(&wallet, "POST", "/v1/invoices", json!({"value": "7", "memo": "seven", "expiry": "90"})).await;
    let (_, told) = one(&wallet, "GET", &format!("/v1/payreq/{}", made["payment_request"].as_str().unwrap()), json!({})).await;
    assert_eq!((told["num_satoshis"].as_str(), told["description"].as_str()), (Some("7"), Some("seven")));
    let hash = told["payment_hash"].as_str().unwrap();
    let (_, open) = one(&wallet, "GET", &format!("/v1/invoice/{hash}"), json!({})).await;
    assert_eq!(
        (open["state"].as_str(), open["settled"].as_bool(), open["memo"].as_str()),
        (Some("OPEN"), Some(false), Some("seven"))
    );
    one(&other, "POST", "/v1/channels/transactions", json!({"payment_request": made["payment_request"]})).await;
    let (_, settled) = one(&wallet, "GET", &format!("/v1/invoice/{hash}"), json!({})).await;
    assert_eq!((settled["state"].as_str(), settled["amt_paid_msat"].as_str()), (Some("SETTLED"), Some("7000")));
    let (_, about) = one(&wallet, "GET", "/v1/getinfo", json!({})).await;
    assert_eq!((&about["identity_pubkey"], about["chains"][0]["network"].as_str()), (&told["destination"], Some("regtest")));
}

#[tokio::test]
async fn an_invoice_commits_to_the_description_that_it_was_asked_with() {
    let wallet = super::router(Devnet::start().await.unwrap().client());
    let asked = json!({"value_msat": "1500", "unhashed_description": const_hex::encode("abc")});
    let (_, made) = one(&wallet, "POST", "/v1/invoices", asked).await;
    let (_, told) = one(&wallet, "GET", &format!("/v1/payreq/{}", made["payment_request"].as_str().unwrap()), json!({})).await;
    assert_eq!(told["description_hash"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!((told["num_msat"].as_str(), told["description"].as_str()), (Some("1500"), Some("")));
}

#[tokio::test]
async fn what_is_wrong_is_said_as_the_gateway_says_it() {
    let devnet = Devnet::start().await.unwrap();
    let wallet = super::router(devnet.client());
    let good = invoice(&devnet).await;
    let (hash, unknown) = (format!("/v1/invoice/{}", "00".repeat(32)), json!({"payment_request": "lnbcrt1garbled"}));
    for (method, path, body, status, code) in [
        ("POST", "/v2/router/send", unknown.clone(), 500, 2),
        ("POST", "/v1/channels/transactions", unknown, 500, 2),
        ("POST", "/v2/router/send", json!({"payment_request": good.as_str(), "amt": 5}), 500, 2),
        ("POST", "/v2/router/send", json!({"fee_limit_sat": "1", "fee_limit_msat": "1"}), 500, 2),
        ("POST", "/v2/router/send", json!({"timeout_seconds": -1}), 400, 3),
        ("POST", "/v1/invoices", json!({"value": "x"}), 400, 3),
        ("POST", "/v1/invoices", json!({"value": 0}), 500, 2),
        ("POST", "/v1/invoices", json!({"value": 1, "description_hash": "AAAA"}), 501, 12),
        ("POST", "/v1/invoices", json!({"value": 1, "unhashed_description": "x"}), 500, 2),
        ("GET", "/v1/payreq/lnbcrt1garbled", json!({}), 500, 2),
        ("GET", "/v1/invoice/00", json!({}), 500, 2),
        ("GET", &hash, json!({}), 404, 5),
        ("GET", "/v1/channels", json!({}), 404, 5),
        ("GET", "/v2/router/send", json!({}), 501, 12),
    ] {
        let (seen, answer) = one(&wallet, method, path, body).await;
        let error = answer.get("error").unwrap_or(&answer);
        assert_eq!((seen, error["code"].as_u64()), (status, Some(code)), "{method} {path}: {answer}");
        assert!(error["details"].is_array() && !error["message"].as_str().unwrap_or_default().is_empty());
    }
}
