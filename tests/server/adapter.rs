//! Which URL a request is bound to, through the layer: section `http_server_adapter` of
//! `lnbtc.json`, where the vectors are.

use std::{io::Write, net::SocketAddr};

use axum::{Router, body::Body, extract::ConnectInfo, routing::any};
use http::{Request, Response, Uri};
use serde_json::Value;
use tower_x402::{
    Amount,
    x402::{RequestBinding, decode_header},
};

use crate::{
    shop::{Shop, ask},
    trade::EVERY,
};

fn cases() -> Option<Vec<Value>> {
    let folder = std::env::var("X402_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vectors").into());
    let Ok(text) = std::fs::read_to_string(format!("{folder}/lnbtc.json")) else {
        assert!(
            std::env::var("X402_REQUIRE_VECTORS").as_deref() != Ok("1"),
            "no vectors in {folder}"
        );
        // past what the harness captures of a test that passes
        let _ = writeln!(std::io::stderr(), "skipped: no vectors in {folder}");
        return None;
    };
    let mut file: Value = serde_json::from_str(&text).unwrap();
    let Value::Array(cases) = file["http_server_adapter"].take() else {
        panic!("a list of cases")
    };
    Some(cases)
}

/// The case's request; `None` where the `http` crate, and so every server, takes no such head.
fn request(case: &Value, target: &str) -> Option<Request<Body>> {
    let mut request = Request::get(target);
    for line in case["header_lines"].as_array().unwrap() {
        let (name, value) = (line[0].as_str().unwrap(), line[1].as_str().unwrap());
        request = match name {
            ":authority" => request.uri(
                Uri::builder()
                    .scheme("https")
                    .authority(value)
                    .path_and_query(target)
                    .build()
                    .ok()?,
            ),
            _ => request.header(name, value),
        };
    }
    request.body(Body::empty()).ok()
}

/// The URL and the request hash that a 402 asks for.
fn bound(answer: &Response<bytes::Bytes>) -> Option<(String, String)> {
    let required = decode_header(answer.headers().get("payment-required")?.as_bytes()).unwrap();
    let required: Value = serde_json::from_str(&required).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Some((
        text(&required["resource"]["url"]),
        text(&required["accepts"][0]["extra"]["requestHash"]),
    ))
}

#[tokio::test]
async fn every_case_of_the_vectors_is_bound_or_refused_by_the_layer_itself() {
    let Some(cases) = cases() else { return };
    let (mut sold, mut refused, mut unsayable, mut failed) = (0, 0, 0, Vec::new());
    for case in &cases {
        let shop = Shop::new();
        let (origin, id) = (
            case["public_origin"].as_str().unwrap(),
            case["id"].as_str().unwrap(),
        );
        let paywall = tower_x402::Paywall::builder(shop.node.clone())
            .origin(origin)
            .master_secret(tower_x402::Secrets::test_secret(7));
        let paywall = paywall
            .replay_store(shop.store.clone())
            .clock(shop.clock.clone())
            .dialects(EVERY);
        let paywall = paywall.trusted_proxy("192.0.2.0/24").build().unwrap();
        let app = Router::new()
            .fallback(any(async || "sold"))
            .layer(paywall.charge(Amount::from_sat(10)).unwrap());
        let url = case["url"].as_str().unwrap().split_once("://").unwrap().1;
        let target = &url[url.find('/').unwrap()..];
        let Some(mut request) = request(case, target) else {
            assert!(case["expect"]["error"].is_string(), "{id}");
            unsayable += 1;
            continue;
        };
        request
            .extensions_mut()
            .insert(ConnectInfo("192.0.2.7:1".parse::<SocketAddr>().unwrap()));
        let answer = ask(&app, request).await;
        // Without an authority the one configured origin is meant; of the choices that the file
        // leaves, that one is ours.
        let hash = match id {
            "no-authority-header" => Some(
                case["expect"]["open"][0]
                    .as_str()
                    .unwrap()
                    .trim_start_matches("bind "),
            ),
            _ => case["expect"]["request_hash"].as_str(),
        };
        let right = match (hash, bound(&answer)) {
            (Some(hash), Some((url, bound))) => {
                sold += 1;
                let own = RequestBinding::http(
                    "GET",
                    &url,
                    &sha256_of_nothing(),
                    &[] as &[&str],
                    &http::HeaderMap::new(),
                )
                .unwrap();
                url == format!("{origin}{target}")
                    && bound == hash
                    && own.hash().to_string() == hash
            }
            (None, None) => {
                refused += 1;
                matches!(answer.status().as_u16(), 400 | 421) && shop.node.invoices_created() == 0
            }
            _ => false,
        };
        if !right {
            failed.push(format!(
                "{id}: {} {:?}, not {}",
                answer.status(),
                bound(&answer),
                case["expect"]
            ));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(
        (sold + refused + unsayable, cases.len()),
        (33, 33),
        "{sold} sold, {refused} refused, {unsayable} unsayable"
    );
    println!("{sold} sold, {refused} refused, {unsayable} unsayable");
}

fn sha256_of_nothing() -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest([]).into()
}
