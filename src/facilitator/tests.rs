use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::{
    boxed::BoxFuture,
    clock::{TestClock, Timestamp},
    codec::hex,
    payment::Network,
    replay::{Consumption, ConsumptionKey, Durability, Limits, Release, ReplayStore, StoreError, StoreErrorKind, StoreId, UseId},
    x402::Bench,
};

/// A store that keeps what it was asked, and can be made to fail or to hang.
#[derive(Debug, Default)]
struct Store {
    spent: Mutex<HashMap<ConsumptionKey, (UseId, Timestamp)>>,
    asked: Mutex<u32>,
    trouble: Mutex<Option<Trouble>>,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Fails,
    Hangs,
}

impl ReplayStore for Store {
    fn id(&self) -> StoreId {
        StoreId::from_bytes([0; 16])
    }

    fn created_at(&self) -> Timestamp {
        Timestamp::from_unix_seconds(1_600_000_000)
    }

    fn consume(
        &self,
        key: ConsumptionKey,
        id: UseId,
        _: Limits,
        until: Timestamp,
    ) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        *self.asked.lock().unwrap() += 1;
        match *self.trouble.lock().unwrap() {
            Some(Trouble::Fails) => {
                return Box::pin(async { Err(StoreError::new(StoreErrorKind::Unavailable, "a test", "on purpose")) });
            }
            Some(Trouble::Hangs) => {
                self.spent.lock().unwrap().insert(key, (id, until));
                return Box::pin(std::future::pending());
            }
            None => {}
        }
        let is_new = !self.spent.lock().unwrap().contains_key(&key);
        if is_new {
            self.spent.lock().unwrap().insert(key, (id, until));
        }
        Box::pin(async move { Ok(if is_new { Consumption::Granted { remaining: 0 } } else { Consumption::Spent }) })
    }

    fn release(&self, key: ConsumptionKey, id: UseId, why: Release) {
        assert_eq!(why, Release::NotServed);
        self.spent.lock().unwrap().retain(|held, (held_id, _)| (*held, *held_id) != (key, id));
    }

    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}

struct Stage {
    store: Arc<Store>,
    facilitator: Facilitator,
    document: Value,
}

fn builder(store: &Arc<Store>) -> FacilitatorBuilder {
    let callers = BearerTokens::new().with("shop", "token").with("news", "");
    Facilitator::builder(Arc::clone(store) as Arc<dyn ReplayStore>, callers)
        .clock(TestClock::at(Timestamp::from_unix_seconds(1_700_000_000)))
        .volatile_replay_store()
}

/// A document that settles, made by this crate's own server and client.
fn stage(configure: impl FnOnce(FacilitatorBuilder) -> FacilitatorBuilder) -> Stage {
    let bench = Bench::new();
    let call = bench.call();
    let invoice = bench.invoice(&call);
    let credential = bench.credential(&call, &bench.challenge(&call, &invoice));
    let payload = crate::x402::decode_header(credential.as_bytes()).unwrap();
    let payload: Value = serde_json::from_str(&payload).unwrap();
    let document = json!({"x402Version": 2, "paymentRequirements": payload["accepted"], "paymentPayload": payload});
    let store = Arc::new(Store::default());
    let facilitator = configure(builder(&store).pay_to(hex::encode(invoice.payee()))).build().unwrap();
    Stage { store, facilitator, document }
}

impl Stage {
    async fn ask(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
        self.facilitator.clone().oneshot(request.body(Full::new(body.into())).unwrap()).await.unwrap()
    }

    async fn settle(&self, document: &Value) -> Value {
        let request = Request::post("/settle").header("authorization", "Bearer token");
        let answer = self.ask(request, document.to_string()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        body(answer).await
    }

    fn asked(&self) -> u32 {
        *self.store.asked.lock().unwrap()
    }
}

async fn body(answer: Response<Full<Bytes>>) -> Value {
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

#[tokio::test]
async fn a_proof_settles_once_and_has_no_payer() {
    let stage = stage(|builder| builder);
    let settled = stage.settle(&stage.document).await;
    assert_eq!(settled["success"], true);
    assert_eq!(settled["network"], Network::Bitcoin.caip2());
    assert_eq!(settled["transaction"].as_str().unwrap().len(), 64);
    assert_eq!(settled.as_object().unwrap().len(), 3);
    let again = stage.settle(&stage.document).await;
    assert_eq!((&again["success"], &again["errorReason"]), (&json!(false), &json!("duplicate_settlement")));
    let until = stage.store.spent.lock().unwrap().values().next().unwrap().1;
    assert_eq!(until.as_unix_seconds(), 1_700_000_300 + 86_400 + 120 + 3_600);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_answer_settles_nothing_and_spends_nothing() {
    let stage = stage(|builder| builder);
    for trouble in [Trouble::Fails, Trouble::Hangs] {
        *stage.store.trouble.lock().unwrap() = Some(trouble);
        let failed = stage.settle(&stage.document).await;
        assert_eq!((&failed["success"], &failed["errorReason"]), (&json!(false), &json!("settlement_failed")), "{trouble:?}");
        assert!(stage.store.spent.lock().unwrap().is_empty());
    }
    *stage.store.trouble.lock().unwrap() = None;
    assert_eq!(stage.settle(&stage.document).await["success"], true);
}

#[tokio::test]
async fn a_caller_that_has_gone_spends_nothing() {
    let stage = stage(|builder| builder);
    *stage.store.trouble.lock().unwrap() = Some(Trouble::Hangs);
    {
        let mut call = tokio_test::task::spawn(stage.settle(&stage.document));
        assert!(call.poll().is_pending());
        assert_eq!(stage.store.spent.lock().unwrap().len(), 1);
    }
    assert!(stage.store.spent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_served_never_reaches_the_store() {
    let others = stage(|builder| builder);
    let short = stage(|builder| builder.max_timeout(Duration::from_secs(299)));
    let testnet = stage(|builder| builder.networks([Network::Testnet]));
    let late = stage(|builder| builder.clock(TestClock::at(Timestamp::from_unix_seconds(1_700_000_361))));
    let wrong = |change: fn(&mut Value)| {
        let mut document = others.document.clone();
        change(&mut document);
        document
    };
    for (stage, document, word) in [
        (&others, short.document.clone(), "invalid_exact_lnbtc_pay_to_mismatch"),
        (&short, short.document.clone(), "invalid_exact_lnbtc_max_timeout"),
        (&testnet, testnet.document.clone(), "unsupported_network"),
        (&late, late.document.clone(), "invalid_exact_lnbtc_invoice_expired"),
        (&others, wrong(|json| json["x402Version"] = json!(1)), "invalid_x402_version"),
        (&others, wrong(|json| json["paymentPayload"]["x402Version"] = json!(1)), "invalid_x402_version"),
        (&others, wrong(|json| json["paymentPayload"] = json!([])), "invalid_payload"),
        (&others, wrong(|json| json["paymentRequirements"] = json!("")), "invalid_payment_requirements"),
    ] {
        let refused = stage.settle(&document).await;
        assert_eq!((&refused["success"], &refused["errorReason"]), (&json!(false), &json!(word)));
        assert_eq!(stage.asked(), 0, "{word}");
    }
}

#[tokio::test]
async fn both_sides_name_profile_and_extra_alike() {
    let stage = stage(|builder| builder);
    for (side, pointer, value, word) in [
        ("paymentRequirements", "requestBindingProfile", json!(null), "request_binding"),
        ("paymentRequirements", "requestBindingProfile", json!("http:2"), "request_binding"),
        ("paymentRequirements", "requestBindingParams", json!({"headers": [], "more": 1}), "request_binding"),
        ("paymentRequirements", "requestBindingParams", json!({"headers": ["accept"]}), "request_mismatch"),
        ("paymentRequirements", "paymentFlow", json!("escrow"), "payment_flow"),
        ("paymentRequirements", "assetTransferMethod", json!("bolt12"), "asset_transfer_method"),
        ("paymentRequirements", "assetTransferMethod", json!(null), "asset_transfer_method"),
        ("paymentRequirements", "invoice", json!(""), "invoice_missing"),
        ("paymentRequirements", "tier", json!("gold"), "extra_mismatch"),
        ("paymentRequirements", "quote", json!("other"), "extra_mismatch"),
    ] {
        let mut document = stage.document.clone();
        document[side]["extra"][pointer] = value.clone();
        let refused = stage.settle(&document).await;
        assert_eq!(refused["errorReason"], format!("invalid_exact_lnbtc_{word}"), "{pointer} {value}");
    }
    let mut document = stage.document.clone();
    document["paymentPayload"]["accepted"]["extra"]["note"] = json!("of the client");
    document["paymentRequirements"]["extra"]["tier"] = json!({"a": 1, "b": [2]});
    document["paymentPayload"]["accepted"]["extra"]["tier"] = json!({"b": [2.0], "a": 1});
    assert_eq!(stage.asked(), 0);
    assert_eq!(stage.settle(&document).await["success"], true);
}

#[tokio::test]
async fn strangers_and_broken_documents_are_turned_away_by_status() {
    let stage = stage(|builder| builder);
    for token in ["", "Bearer", "Bearer ", "Bearer tokens", "Basic token", "token"] {
        let answer = stage.ask(Request::post("/settle").header("authorization", token), stage.document.to_string()).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{token:?}");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    }
    let settle = || Request::post("/settle").header("authorization", "bearer token");
    let twice = stage.document.to_string().replacen('{', "{\"x402Version\":2,", 1);
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
        (Request::post("/supported"), "GET, HEAD", "expected the method GET or HEAD"),
    ] {
        let answer = stage.ask(request, "").await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()["allow"], allowed);
        assert_eq!(body(answer).await, json!({"error": words}));
    }
    assert_eq!(stage.ask(Request::get("/"), "").await.status(), StatusCode::NOT_FOUND);
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
    assert_eq!((answer.status(), &answer.headers()["retry-after"]), (StatusCode::TOO_MANY_REQUESTS, &"2".parse().unwrap()));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(stage.ask(verify(), "").await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_not_waited_for() {
    let stage = stage(|builder| builder);
    let stream =
        http_body_util::StreamBody::new(futures_util::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>());
    let request = Request::post("/settle").header("authorization", "Bearer token").body(stream).unwrap();
    let answer = stage.facilitator.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn verify_and_supported_answer_as_the_references_do() {
    let stage = stage(|builder| builder);
    let verify = Request::builder().method(Method::POST).uri("/verify").header("authorization", "Bearer token");
    let verified = body(stage.ask(verify, stage.document.to_string()).await).await;
    assert_eq!(verified, json!({"isValid": false, "invalidReason": "invalid_exact_lnbtc_payment_flow"}));
    let supported = body(stage.ask(Request::get("/supported"), "").await).await;
    let kind = |network: Network| {
        let extra = json!({"assetTransferMethod": "bolt11", "paymentFlow": "upfront"});
        json!({"x402Version": 2, "scheme": "exact", "network": network.caip2(), "extra": extra})
    };
    let kinds = [kind(Network::Bitcoin), kind(Network::Testnet)];
    assert_eq!(supported, json!({"kinds": kinds, "extensions": [], "signers": {}}));
}

#[test]
fn a_configuration_that_could_settle_twice_or_for_nobody_is_refused() {
    let store = Arc::new(Store::default());
    let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    assert!(builder(&store).pay_to(key).build().is_ok());
    let durable = Facilitator::builder(Arc::clone(&store) as Arc<dyn ReplayStore>, BearerTokens::new()).pay_to(key);
    for (builder, word) in [
        (builder(&store), "pay_to"),
        (builder(&store).pay_to("bad"), "pay_to"),
        (builder(&store).pay_to(key.to_uppercase()), "pay_to"),
        (builder(&store).pay_to(format!("02{}", "ff".repeat(32))), "pay_to"),
        (builder(&store).pay_to(key).max_timeout(Duration::ZERO), "max_timeout"),
        (builder(&store).pay_to(key).max_timeout(Duration::from_secs(7 * 86_400 + 1)), "max_timeout"),
        (builder(&store).pay_to(key).time_limit(Duration::ZERO), "time_limit"),
        (builder(&store).pay_to(key).skew(Duration::from_secs(601)), "skew"),
        (builder(&store).pay_to(key).remember_for(Duration::from_secs(3659)), "remember_for"),
        (builder(&store).pay_to(key).skew(Duration::from_secs(600)).remember_for(Duration::from_secs(4199)), "remember_for"),
        (
            durable,
            "take a durable one, as DurableStore::open(\"spent\")?, accept it with .volatile_replay_store(), or serve test",
        ),
    ] {
        assert!(builder.build().unwrap_err().to_string().contains(word), "{word}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_rate_that_is_taken_can_be_counted() {
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
    for (calls, per, is_taken) in [
        (1, Duration::MAX, false),
        (u32::MAX, Duration::MAX, false),
        (1, day + Duration::from_nanos(1), false),
        (1, Duration::ZERO, false),
        (0, second, false),
        (1_000_001, day, false),
        (1, day, true),
        (1_000_000, second, true),
        (1_000_000, day, true),
        (1, second, true),
    ] {
        let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
        let built = builder(&Arc::default()).pay_to(key).rate(calls, per).build();
        assert_eq!(built.is_ok(), is_taken, "{calls} in {per:?}");
        let Ok(facilitator) = built else { continue };
        let verify = || Request::post("/verify").header("authorization", "Bearer token").body(Full::<Bytes>::default()).unwrap();
        assert_eq!(facilitator.clone().oneshot(verify()).await.unwrap().status(), StatusCode::OK);
        if calls == 1 {
            let answer = facilitator.oneshot(verify()).await.unwrap();
            assert_eq!(answer.headers()["retry-after"], per.as_secs().to_string());
        }
    }
}

#[tokio::test]
async fn no_skew_that_is_configured_later_settles_what_the_store_has_forgotten() {
    let (seconds, mut tried) = (Duration::from_secs, 0);
    for later in [0, 60, 600, 601, 3600, 7200, 90_000] {
        let clock = TestClock::at(Timestamp::from_unix_seconds(1_600_000_000));
        let one = std::num::NonZeroUsize::MIN;
        let store = Arc::new(crate::MemoryStore::new().unwrap().with_clock(clock.clone()).with_capacity(one));
        clock.set(Timestamp::from_unix_seconds(1_700_000_000));
        let Stage { document, .. } = stage(|builder| builder);
        let key = document["paymentRequirements"]["payTo"].as_str().unwrap().to_owned();
        // As little as may be remembered for each skew.
        let with_skew = |skew: u64| {
            let callers = BearerTokens::new().with("shop", "token");
            let builder = Facilitator::builder(Arc::clone(&store) as Arc<dyn ReplayStore>, callers).clock(clock.clone());
            let builder = builder.pay_to(key.clone()).volatile_replay_store().skew(seconds(skew));
            builder.remember_for(seconds(skew + 3600)).build()
        };
        let settle = async |facilitator: Facilitator| {
            let request = Request::post("/settle").header("authorization", "Bearer token");
            let request = request.body(Full::<Bytes>::from(document.to_string())).unwrap();
            body(facilitator.oneshot(request).await.unwrap()).await
        };
        assert_eq!(settle(with_skew(0).unwrap()).await["success"], true);
        let Ok(facilitator) = with_skew(later) else { continue };
        clock.advance(seconds(300 + later));
        assert_eq!(settle(facilitator).await["errorReason"], "duplicate_settlement", "{later} s");
        tried += 1;
    }
    assert_eq!(tried, 3);
}

#[tokio::test]
async fn a_key_off_the_curve_is_malformed_before_it_is_not_served() {
    let stage = stage(|builder| builder);
    let off_the_curve = format!("02{}", "ff".repeat(32));
    let mut document = stage.document.clone();
    document["paymentRequirements"]["payTo"] = json!(off_the_curve);
    assert_eq!(stage.settle(&document).await["errorReason"], "invalid_exact_lnbtc_pay_to_mismatch");
    document["paymentPayload"]["accepted"]["payTo"] = json!(off_the_curve);
    assert_eq!(stage.settle(&document).await["errorReason"], "invalid_exact_lnbtc_pay_to_malformed");
    for side in ["paymentRequirements", "paymentPayload"] {
        let terms = if side == "paymentPayload" { &mut document[side]["accepted"] } else { &mut document[side] };
        terms["maxTimeoutSeconds"] = json!(0);
    }
    assert_eq!(stage.settle(&document).await["errorReason"], "invalid_exact_lnbtc_max_timeout");
    assert_eq!(stage.asked(), 0);
}
