//! `lnbtc.json`: each case as section/id. Where the file leaves a choice, the choice of this crate is asserted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tower::ServiceExt as _;
use tower_x402::{
    clock::{TestClock, Timestamp},
    facilitator::{Caller, Facilitator},
    lightning::BoxFuture,
    replay::{Consumption, ConsumptionKey, Durability, Limits, Release, ReplayStore, StoreError, StoreId, UseId},
    x402::{
        Challenge, Conditions, Intent, PayerReport, PaymentPayload, PaymentRequired, PaymentRequirements, PublicOrigin, Reason,
        RequestBinding,
    },
};

use crate::{report, vectors};

fn run(section: &str, check: impl Fn(&Value) -> Result<(), String>) {
    let Some(file) = vectors("lnbtc.json") else {
        return;
    };
    let cases = file[section].as_array().expect("a section is a list");
    report(cases.iter().map(|case| (format!("{section}/{}", text(&case["id"])), check(case))));
}

#[test]
fn http_binding() {
    run("http_binding", |case| {
        let body = bytes(text(&case["body_hex"]));
        let url = text(&case["url"]);
        let bound = headers(&case["header_lines"]).and_then(|headers| {
            RequestBinding::http(text(&case["method"]), url, &hash(&body), &texts(&case["bound_headers"]), &headers)
        });
        compare_binding(&bound, &case["expect"])
    });
}

#[test]
fn http_server_adapter() {
    run("http_server_adapter", |case| {
        let origin = text(&case["public_origin"]);
        let lines: Vec<_> = lines(&case["header_lines"]).map(|(name, value)| (name, value.as_bytes())).collect();
        let url = text(&case["url"]);
        let target = &url[url.find("://").map_or(0, |at| at + 3)..];
        let target = &target[target.find('/').expect("a path")..];
        let bound = PublicOrigin::new(origin).behind_trusted_proxy().bound_url(lines, target);
        let bound = bound.and_then(|url| RequestBinding::http("GET", &url, &hash(b""), NONE, &HeaderMap::new()));
        let expect = match text(&case["id"]) {
            "request-origin-not-configured" | "host-differs-from-url" => {
                let forbidden = text(&case["expect"]["forbidden_request_hash"]);
                if bound.as_ref().is_ok_and(|bound| bound.hash().to_string() == forbidden) {
                    return Err("bound to the requester's word".into());
                }
                serde_json::json!({"error": chosen(&case["expect"], "invalid_exact_lnbtc_request_mismatch")?})
            }
            "no-authority-header" => {
                let choice = chosen(&case["expect"], "bind 0d6623f775e025501fa7f0a30b54da25aad62b6ccfe35c85da38016711e6c018")?;
                serde_json::json!({"request_hash": choice.trim_start_matches("bind ")})
            }
            _ => case["expect"].clone(),
        };
        compare_binding(&bound, &expect)
    });
}

#[test]
fn mcp_binding() {
    run("mcp_binding", |case| {
        let params = case["params_json"].as_str().map_or_else(|| case["params"].to_string(), str::to_owned);
        let bound = RequestBinding::mcp(text(&case["server"]), &texts(&case["bound_metadata"]), &params);
        let expect = match text(&case["id"]) {
            "integer-2-64" => {
                chosen(&case["expect"], "reject")?;
                serde_json::json!({"error": "invalid_exact_lnbtc_request_binding"})
            }
            _ => case["expect"].clone(),
        };
        compare_binding(&bound, &expect)
    });
}

#[test]
fn client() {
    run("client", |case| {
        let outcome = pay(case);
        let expected = match text(&case["expect"]) {
            "pays, preimage" => Ok(()),
            "OPEN: pay | invoice_expired" => Err(("invalid_exact_lnbtc_invoice_expired".to_owned(), true)),
            word => Err((word.trim_end_matches(" before pay").to_owned(), word.ends_with(" before pay"))),
        };
        (outcome == expected).then_some(()).ok_or_else(|| format!("{outcome:?}, not {expected:?}"))
    });
}

/// The reason, and whether the payer was never called.
fn pay(case: &Value) -> Result<(), (String, bool)> {
    let before = |reason: Reason| (reason.code().to_owned(), true);
    let after = |reason: Reason| (reason.code().to_owned(), false);
    let http = &case["intended_request"]["http"];
    let headers = headers(&http["header_lines"]).map_err(before)?;
    let body_hash = hash(&bytes(text(&http["body_hex"])));
    let intent = Intent::Http { method: text(&http["method"]), url: text(&http["url"]), headers: &headers, body_hash };
    let required = case["payment_required"].to_string();
    let required = PaymentRequired::from_json(&required).expect("a challenge");
    let challenge = Challenge::check(&required, 0, &intent, &conditions(case)).map_err(before)?;
    let told = &case["payer_result"];
    let told = PayerReport {
        status: text(&told["status"]),
        invoice: text(&told["invoice"]),
        payment_hash: text(&told["payment_hash"]),
        amount_msat: text(&told["amount_msat"]),
        preimage: told["preimage"].as_str(),
    };
    let preimage = challenge.settle(&told).map_err(after)?;
    let header = challenge.credential(&preimage).expect("the preimage is the invoice's");
    let payload = tower_x402::x402::decode_header(header.as_bytes()).expect("a header");
    let sent: Value = serde_json::from_str(&payload).expect("JSON");
    assert_eq!(sent["accepted"], case["payment_required"]["accepts"][0]);
    assert_eq!(sent["resource"], case["payment_required"]["resource"]);
    assert_eq!(sent["payload"], serde_json::json!({"preimage": told.preimage}));
    Ok(())
}

#[tokio::test]
async fn invoice_reading() {
    run_settlements("invoice_reading").await;
}

#[tokio::test]
async fn facilitator_settle() {
    run_settlements("facilitator_settle").await;
}

/// Entries with one id share a store and run in order: once as calls of the function, once as documents of `POST /settle`. The
/// file's `step` is not compared: neither tells one, and of the words only `unsupported_scheme` and `asset` stand in two steps.
async fn run_settlements(section: &str) {
    let Some(file) = vectors("lnbtc.json") else {
        return;
    };
    let (mut outcomes, mut stores, mut last) = (Vec::new(), <[Arc<Store>; 2]>::default(), "");
    for case in file[section].as_array().expect("a section is a list") {
        let id = text(&case["id"]);
        if id != last {
            (stores, last) = (<[Arc<Store>; 2]>::default(), id);
        }
        outcomes.push((format!("{section}/{id}"), compare_settlement(case, &stores[0]).await));
        outcomes.push((format!("{section}/{id} as a document"), compare_document(case, &stores[1]).await));
    }
    report(outcomes);
}

/// It remembers no longer than it must.
fn facilitator(case: &Value, store: &Arc<Store>) -> Facilitator {
    let seconds = |name: &str| case[name].as_u64().expect("whole seconds");
    let remembering = |time: u64| {
        let callers = |_: &http::request::Parts| Some(Caller::named("a shop"));
        Facilitator::builder(Arc::clone(store) as Arc<dyn ReplayStore>, callers)
            .pay_to("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
            .pay_to("02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5")
            .clock(TestClock::at(Timestamp::from_unix_seconds(seconds("now"))))
            .skew(Duration::from_secs(seconds("skew")))
            .remember_for(Duration::from_secs(time))
            .build()
    };
    let hour_after = seconds("skew") + 3600;
    assert!(remembering(hour_after - 1).is_err(), "less is remembered than the scheme asks");
    remembering(hour_after).expect("a facilitator")
}

async fn compare_settlement(case: &Value, store: &Arc<Store>) -> Result<(), String> {
    let (payload, required) = (case["payload"].to_string(), case["requirements"].to_string());
    let (payload, required) = (PaymentPayload::from_json(&payload), PaymentRequirements::from_json(&required));
    let (payload, required) = (payload.expect("a payload"), required.expect("requirements"));
    let held = store.held();
    let expect = &case["expect"];
    let outcome = facilitator(case, store).settle(&payload, &required).await;
    match (&outcome, expect["error_reason"].as_str()) {
        (Err(reason), Some(word)) if reason.code() == word && store.held() == held => Ok(()),
        (Ok(verified), None) => {
            let key = ConsumptionKey::new(verified.network(), verified.payment_hash());
            let retained = store.0.lock().expect("a lock").get(&key).expect("consumed").as_unix_seconds();
            let is = |member: &str, value: String| expect[member].as_str().is_none_or(|expected| expected == value);
            let fits = is("transaction", verified.payment_hash().to_string())
                && is("network", verified.network().caip2().to_owned())
                && is("replay_key", key.to_string())
                && expect["retain_until_at_least"].as_u64().is_none_or(|at_least| retained >= at_least);
            fits.then_some(()).ok_or_else(|| format!("{verified:?} until {retained}, not {expect}"))
        }
        _ => Err(format!("{outcome:?}, not {expect}")),
    }
}

async fn compare_document(case: &Value, store: &Arc<Store>) -> Result<(), String> {
    let (payload, required) = (&case["payload"], &case["requirements"]);
    let document = serde_json::json!({"x402Version": 2, "paymentPayload": payload, "paymentRequirements": required});
    let request = http::Request::post("/settle").body(Full::<Bytes>::from(document.to_string())).expect("a request");
    let held = store.held();
    let answer = facilitator(case, store).oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap_or_else(|never| match never {}).to_bytes();
    let told: Value = serde_json::from_slice(&body).expect("JSON");
    let expect = &case["expect"];
    let expected = match &expect["error_reason"] {
        Value::Null => {
            // The file tells none for the invoices of the other section.
            let transaction = expect["transaction"].as_str().unwrap_or_else(|| text(&told["transaction"]));
            assert_eq!(transaction.len(), 64);
            serde_json::json!({"success": true, "transaction": transaction, "network": required["network"]})
        }
        word => {
            serde_json::json!({"success": false, "errorReason": word, "transaction": "", "network": required["network"]})
        }
    };
    let consumed = store.held() - held;
    let is_right = status == 200 && told == expected && consumed == usize::from(expect["error_reason"].is_null());
    is_right.then_some(()).ok_or_else(|| format!("{status} {told}, {consumed} consumed, not {expected}"))
}

#[derive(Debug, Default)]
struct Store(Mutex<HashMap<ConsumptionKey, Timestamp>>);

impl Store {
    fn held(&self) -> usize {
        self.0.lock().expect("a lock").len()
    }
}

impl ReplayStore for Store {
    fn id(&self) -> StoreId {
        StoreId::from_bytes([0; 16])
    }

    fn created_at(&self) -> Timestamp {
        // before any invoice of the vectors
        Timestamp::from_unix_seconds(0)
    }

    fn consume(
        &self,
        key: ConsumptionKey,
        _: UseId,
        _: Limits,
        until: Timestamp,
    ) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        let is_new = self.0.lock().expect("a lock").insert(key, until).is_none();
        Box::pin(async move { Ok(if is_new { Consumption::Granted { remaining: 0 } } else { Consumption::Spent }) })
    }

    fn release(&self, key: ConsumptionKey, _: UseId, _: Release) {
        self.0.lock().expect("a lock").remove(&key);
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }
}

fn compare_binding(bound: &Result<RequestBinding, Reason>, expect: &Value) -> Result<(), String> {
    let wrong = || Err(format!("{bound:?}, not {expect}"));
    match bound {
        Ok(bound) if expect["request_hash"] != bound.hash().to_string() => wrong(),
        Ok(bound) if expect["canonical_description"].as_str().is_some_and(|text| text != bound.canonical()) => wrong(),
        Err(reason) if expect["error"] != reason.code() => wrong(),
        _ => Ok(()),
    }
}

/// Makes sure that a choice of ours is one that the file allows.
fn chosen<'a>(expect: &Value, choice: &'a str) -> Result<&'a str, String> {
    let allowed = expect["open"].as_array().is_some_and(|open| open.iter().any(|word| word == choice));
    allowed.then_some(choice).ok_or_else(|| format!("{choice} is not among {}", expect["open"]))
}

const NONE: &[&str] = &[];

fn conditions(case: &Value) -> Conditions<'static> {
    let seconds = |name: &str| case[name].as_u64().expect("whole seconds");
    Conditions::at(Timestamp::from_unix_seconds(seconds("now"))).with_skew(Duration::from_secs(seconds("skew")))
}

fn lines(value: &Value) -> impl Iterator<Item = (&str, &str)> {
    value.as_array().expect("lines").iter().map(|line| (text(&line[0]), text(&line[1])))
}

/// What the `http` crate cannot hold is refused.
fn headers(value: &Value) -> Result<HeaderMap, Reason> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines(value) {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Reason::RequestBinding)?;
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| Reason::RequestBinding)?);
    }
    Ok(headers)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(text).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal")).collect()
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}
