//! Tests of a facilitator over a store in memory that can be made to fail.

mod configuration;
mod edges;
mod requests;
mod settlements;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::{
    boxed::BoxFuture,
    clock::{TestClock, Timestamp},
    codec::hex,
    dialect::x402::{self, bench::Bench},
    replay::{
        Consumption, ConsumptionKey, Durability, ReleaseReason, ReplayStore, StoreError,
        StoreErrorKind, StoreId, UseId, UseRequest,
    },
};

/// A store that counts its calls, and can be made to fail or to hang.
#[derive(Debug, Default)]
struct Store {
    spent: Mutex<HashMap<ConsumptionKey, (UseId, Timestamp)>>,
    asked: Mutex<u32>,
    released: Mutex<u32>,
    trouble: Mutex<Option<Trouble>>,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Fails,
    Hangs,
    Refuses,
}

impl ReplayStore for Store {
    fn id(&self) -> StoreId {
        StoreId::from_bytes([0; 16])
    }

    fn created_at(&self) -> Timestamp {
        Timestamp::from_unix_seconds(1_600_000_000)
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        *self.asked.lock().unwrap() += 1;
        let (key, id, until) = (request.key(), request.use_id(), request.retain_until());
        match *self.trouble.lock().unwrap() {
            Some(Trouble::Fails) => {
                return Box::pin(async {
                    Err(StoreError::new(
                        StoreErrorKind::Unavailable,
                        "a test",
                        "on purpose",
                    ))
                });
            }
            Some(Trouble::Refuses) => {
                return Box::pin(async {
                    Err(StoreError::new(
                        StoreErrorKind::Refused,
                        "a test",
                        "on purpose",
                    ))
                });
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
        Box::pin(async move {
            Ok(if is_new {
                Consumption::Granted { remaining: 0 }
            } else {
                Consumption::Spent
            })
        })
    }

    fn release(&self, key: ConsumptionKey, id: UseId, why: ReleaseReason) {
        assert_eq!(why, ReleaseReason::NotServed);
        *self.released.lock().unwrap() += 1;
        self.spent
            .lock()
            .unwrap()
            .retain(|held, (held_id, _)| (*held, *held_id) != (key, id));
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
        .allow_volatile_replay_store()
}

/// Creates a facilitator, and a document that settles, made by this crate's own server and client.
fn stage(configure: impl FnOnce(FacilitatorBuilder) -> FacilitatorBuilder) -> Stage {
    let bench = Bench::new();
    let call = bench.call();
    let invoice = bench.invoice(&call);
    let credential = bench.credential(&call, &bench.challenge(&call, &invoice));
    let payload = x402::decode_header(credential.as_bytes()).unwrap();
    let payload: Value = serde_json::from_str(&payload).unwrap();
    let document = json!({"x402Version": 2, "paymentRequirements": payload["accepted"], "paymentPayload": payload});
    let store = Arc::new(Store::default());
    let facilitator = configure(builder(&store).pay_to(hex::encode(invoice.payee())))
        .build()
        .unwrap();
    Stage {
        store,
        facilitator,
        document,
    }
}

impl Stage {
    async fn ask(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Response<Full<Bytes>> {
        self.facilitator
            .clone()
            .oneshot(request.body(Full::new(body.into())).unwrap())
            .await
            .unwrap()
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
