//! The sections of `lnbtc.json` on invoices and settlements. Each entry runs at a facilitator
//! twice: as a function call and as a document.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tower::ServiceExt as _;
use tower_x402::{
    clock::{TestClock, Timestamp},
    facilitator::{Caller, Facilitator},
    lightning::BoxFuture,
    replay::{
        Consumption, ConsumptionKey, Durability, ReleaseReason, ReplayStore, StoreError, StoreId,
        UseId, UseRequest,
    },
    x402::{PaymentPayload, PaymentRequirements},
};

use crate::{report, vectors, x402::text};

#[tokio::test]
async fn invoice_reading() {
    run_settlements("invoice_reading").await;
}

#[tokio::test]
async fn facilitator_settle() {
    run_settlements("facilitator_settle").await;
}

/// Runs the entries: once as function calls, once as documents of `POST /settle`. Entries with the
/// same id share a store and run in order.
///
/// The file's `step` is not compared, because no answer contains it. Only the words
/// `unsupported_scheme` and `asset` occur in two steps.
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
        outcomes.push((
            format!("{section}/{id}"),
            compare_settlement(case, &stores[0]).await,
        ));
        outcomes.push((
            format!("{section}/{id} as a document"),
            compare_document(case, &stores[1]).await,
        ));
    }
    report(outcomes);
}

/// Creates a facilitator that remembers payments for the shortest allowed time.
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
    assert!(
        remembering(hour_after - 1).is_err(),
        "a time shorter than the scheme requires was accepted"
    );
    remembering(hour_after).expect("a facilitator")
}

async fn compare_settlement(case: &Value, store: &Arc<Store>) -> Result<(), String> {
    let (payload, required) = (
        case["payload"].to_string(),
        case["requirements"].to_string(),
    );
    let (payload, required) = (
        PaymentPayload::from_json(&payload),
        PaymentRequirements::from_json(&required),
    );
    let (payload, required) = (payload.expect("a payload"), required.expect("requirements"));
    let held = store.held();
    let expect = &case["expect"];
    let outcome = facilitator(case, store).settle(&payload, &required).await;
    match (&outcome, expect["error_reason"].as_str()) {
        (Err(reason), Some(word)) if reason.code() == word && store.held() == held => Ok(()),
        (Ok(verified), None) => {
            let key = ConsumptionKey::lightning(verified.network(), verified.payment_hash());
            let retained = store
                .0
                .lock()
                .expect("a lock")
                .get(&key)
                .expect("consumed")
                .as_unix_seconds();
            let is = |member: &str, value: String| {
                expect[member]
                    .as_str()
                    .is_none_or(|expected| expected == value)
            };
            let fits = is("transaction", verified.payment_hash().to_string())
                && is("network", verified.network().caip2().to_owned())
                && is("replay_key", key.to_string())
                && expect["retain_until_at_least"]
                    .as_u64()
                    .is_none_or(|at_least| retained >= at_least);
            fits.then_some(())
                .ok_or_else(|| format!("{verified:?} until {retained}, not {expect}"))
        }
        _ => Err(format!("{outcome:?}, not {expect}")),
    }
}

async fn compare_document(case: &Value, store: &Arc<Store>) -> Result<(), String> {
    let (payload, required) = (&case["payload"], &case["requirements"]);
    let document = serde_json::json!({"x402Version": 2, "paymentPayload": payload, "paymentRequirements": required});
    let request = http::Request::post("/settle")
        .body(Full::<Bytes>::from(document.to_string()))
        .expect("a request");
    let held = store.held();
    let answer = facilitator(case, store)
        .oneshot(request)
        .await
        .unwrap_or_else(|never| match never {});
    let status = answer.status();
    let body = answer
        .into_body()
        .collect()
        .await
        .unwrap_or_else(|never| match never {})
        .to_bytes();
    let told: Value = serde_json::from_slice(&body).expect("JSON");
    let expect = &case["expect"];
    let expected = match &expect["error_reason"] {
        Value::Null => {
            // The file has no reason for the invoices of the other section.
            let transaction = expect["transaction"]
                .as_str()
                .unwrap_or_else(|| text(&told["transaction"]));
            assert_eq!(transaction.len(), 64);
            serde_json::json!({"success": true, "transaction": transaction, "network": required["network"]})
        }
        word => {
            serde_json::json!({"success": false, "errorReason": word, "transaction": "", "network": required["network"]})
        }
    };
    let consumed = store.held() - held;
    let is_right = status == 200
        && told == expected
        && consumed == usize::from(expect["error_reason"].is_null());
    is_right
        .then_some(())
        .ok_or_else(|| format!("{status} {told}, {consumed} consumed, not {expected}"))
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
        // Before any invoice of the vectors.
        Timestamp::from_unix_seconds(0)
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        let (key, until) = (request.key(), request.retain_until());
        let is_new = self.0.lock().expect("a lock").insert(key, until).is_none();
        Box::pin(async move {
            Ok(if is_new {
                Consumption::Granted { remaining: 0 }
            } else {
                Consumption::Spent
            })
        })
    }

    fn release(&self, key: ConsumptionKey, _: UseId, _: ReleaseReason) {
        self.0.lock().expect("a lock").remove(&key);
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }
}
