//! Section `http_server_adapter` of `lnbtc.json`: each request at a paywall, behind a trusted
//! proxy. Its 402 binds the configured origin and the raw target, or it is refused (421).

use std::{convert::Infallible, net::IpAddr};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_x402::{
    Amount, ClientConditions, ClientRequest, DialectName, MemoryStore, Network, Paywall, Secrets,
    X402Layer,
    clock::{Clock as _, SystemClock},
    lightning::LocalNode,
    server::ClientAddr,
    x402::{Challenge, Payable, RequestBinding, decode_header},
};

use crate::{
    report, vectors,
    x402::{chosen, hash, lines, text},
};

const MALFORMED: &str = "invalid_exact_lnbtc_request_binding";
const ANOTHERS: &str = "invalid_exact_lnbtc_request_mismatch";

/// What the `http` crate cannot hold never reaches a server.
const UNREPRESENTABLE: [&str; 8] = [
    "authority-host-crlf",
    "authority-authority-path-and-query",
    "authority-authority-fragment",
    "authority-authority-bad-percent",
    "authority-authority-crlf",
    "authority-authority-empty",
    "authority-x-forwarded-host-crlf",
    "forwarded-proto-crlf",
];

#[tokio::test]
async fn http_server_adapter() {
    let Some(file) = vectors("lnbtc.json") else {
        return;
    };
    let mut outcomes = Vec::new();
    let cases = file["http_server_adapter"].as_array().expect("a list");
    assert_eq!(cases.len(), 33);
    for case in cases {
        let id = text(&case["id"]);
        outcomes.push((format!("http_server_adapter/{id}"), compare(id, case).await));
    }
    report(outcomes);
}

async fn compare(id: &str, case: &Value) -> Result<(), String> {
    let expect = match id {
        "request-origin-not-configured" | "host-differs-from-url" => {
            Err(chosen(&case["expect"], ANOTHERS)?)
        }
        "no-authority-header" => {
            let choice = chosen(
                &case["expect"],
                "bind 0d6623f775e025501fa7f0a30b54da25aad62b6ccfe35c85da38016711e6c018",
            )?;
            Ok(choice.trim_start_matches("bind "))
        }
        _ => case["expect"]["request_hash"]
            .as_str()
            .ok_or_else(|| text(&case["expect"]["error"])),
    };
    let found = match request(case) {
        Some(_) if UNREPRESENTABLE.contains(&id) => return Err("http holds this now".into()),
        Some(request) => ask(case, request).await,
        None if UNREPRESENTABLE.contains(&id) => Err(MALFORMED),
        None => return Err("http does not hold this".into()),
    };
    if let (Ok(hash), Some(forbidden)) = (&found, case["expect"]["forbidden_request_hash"].as_str())
        && hash == forbidden
    {
        return Err("bound to the requester's word".into());
    }
    (found.as_deref().map_err(|error| *error) == expect)
        .then_some(())
        .ok_or_else(|| format!("{found:?}, not {expect:?}"))
}

/// The raw target of a case.
fn target(case: &Value) -> &str {
    let url = text(&case["url"]);
    let rest = &url[url.find("://").map_or(0, |at| at + 3)..];
    &rest[rest.find('/').expect("a path")..]
}

/// The request of a case, from a trusted proxy; `None` if the `http` crate cannot hold it.
fn request(case: &Value) -> Option<Request<Full<Bytes>>> {
    let mut uri = target(case).to_owned();
    let mut request = Request::get("/").body(Full::default()).ok()?;
    let proxy: IpAddr = [10, 0, 0, 1].into();
    request.extensions_mut().insert(ClientAddr::new(proxy));
    for (name, value) in lines(&case["header_lines"]) {
        if name == ":authority" {
            let _: http::uri::Authority = value.parse().ok()?;
            uri = format!("https://{value}{uri}");
            continue;
        }
        let name: http::HeaderName = name.parse().ok()?;
        request.headers_mut().append(name, value.parse().ok()?);
    }
    *request.uri_mut() = uri.parse().ok()?;
    Some(request)
}

/// What the 402 binds the payment to, or the reason that stands for the 421.
async fn ask(case: &Value, request: Request<Full<Bytes>>) -> Result<String, &'static str> {
    let (node, origin) = (LocalNode::new(), text(&case["public_origin"]));
    let served = service_fn(|_| async { Ok::<_, Infallible>(Response::<Full<Bytes>>::default()) });
    let answer = layer(&node, origin)
        .layer(served)
        .oneshot(request)
        .await
        .unwrap_or_else(|never| match never {});
    if answer.status() == StatusCode::MISDIRECTED_REQUEST {
        assert_eq!(node.invoices_created(), 0);
        let body = answer.into_body().collect().await.expect("a body");
        let problem: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
        let is_malformed = text(&problem["detail"]).contains("a name with an optional port");
        return Err(if is_malformed { MALFORMED } else { ANOTHERS });
    }
    assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{answer:?}");
    let required = decode_header(answer.headers()["payment-required"].as_bytes()).expect("base64");
    let told: Value = serde_json::from_str(&required).expect("JSON");
    let (url, bound) = (
        format!("{origin}{}", target(case)),
        text(&told["accepts"][0]["extra"]["requestHash"]),
    );
    assert_eq!(text(&told["resource"]["url"]), url);
    let (headers, body_hash) = (http::HeaderMap::new(), hash(b""));
    let own = RequestBinding::http("GET", &url, &body_hash, &[""; 0], &headers);
    assert_eq!(own.expect("a binding").hash().to_string(), bound);

    // A client that asked for this URL pays the invoice: it commits to the same hash.
    let request = ClientRequest::Http {
        method: "GET",
        url: &url,
        headers: &headers,
        body_hash,
    };
    let conditions = ClientConditions::new(Network::Regtest, SystemClock::default().now());
    let challenges = Challenge::in_json(&required);
    Payable::check(&challenges[0], &request, &conditions).expect("a challenge to pay");
    Ok(bound.to_owned())
}

fn layer(node: &LocalNode, origin: &str) -> X402Layer {
    Paywall::builder(node.clone())
        .origin(origin)
        .master_secret(Secrets::test_secret(7))
        .replay_store(MemoryStore::new().expect("randomness"))
        .dialects([DialectName::L402, DialectName::Mpp, DialectName::X402])
        .trusted_proxy("10.0.0.0/8")
        .build()
        .and_then(|paywall| paywall.charge(Amount::from_sat(10)))
        .expect("a good configuration")
}
