//! A store that cannot answer: 503, never a free pass, never a new challenge, and nothing is lost.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use axum::{Router, routing::get as on_get};
use bytes::Bytes;
use http::{Response, StatusCode};
use tower_x402::{
    Amount, MemoryStore,
    clock::Timestamp,
    lightning::BoxFuture,
    replay::{Consumption, ConsumptionKey, Durability, Limits, Release, ReplayStore, StoreError, StoreErrorKind, StoreId, UseId},
};

use crate::{
    shop::{Shop, ask, problem},
    trade::{Call, EVERY},
};

/// Answers, fails, hangs before it consumes, or hangs after it did: 0 to 3.
#[derive(Clone, Debug)]
struct Moody(Arc<MemoryStore>, Arc<AtomicU8>);

impl ReplayStore for Moody {
    fn id(&self) -> StoreId {
        self.0.id()
    }

    fn consume(
        &self,
        key: ConsumptionKey,
        use_id: UseId,
        limits: Limits,
        retain_until: Timestamp,
    ) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        Box::pin(async move {
            match self.1.load(Ordering::SeqCst) {
                1 => return Err(StoreError::new(StoreErrorKind::Unavailable, "a store", "the disk is full")),
                2 => std::future::pending().await,
                _ => {}
            }
            let outcome = self.0.consume(key, use_id, limits, retain_until).await;
            if self.1.load(Ordering::SeqCst) == 3 {
                std::future::pending::<()>().await;
            }
            outcome
        })
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: Release) {
        self.0.release(key, use_id, why);
    }

    fn durability(&self) -> Durability {
        self.0.durability()
    }
}

#[track_caller]
fn is_our_fault(answer: &Response<Bytes>) {
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "5");
    for challenge in ["www-authenticate", "payment-required", "payment-response"] {
        assert!(!answer.headers().contains_key(challenge), "clients would pay again");
    }
    assert_eq!(problem(answer)["type"], "about:blank");
}

#[tokio::test(start_paused = true)]
async fn a_store_in_trouble_serves_nobody_asks_for_no_payment_and_spends_nothing() {
    let shop = Shop::new();
    let mood = Arc::new(AtomicU8::new(0));
    let paywall =
        shop.builder_of_every_dialect().replay_store(Moody(shop.store.clone(), mood.clone())).max_restores(0).build().unwrap();
    let layer = paywall.charge(Amount::from_sat(10)).unwrap();
    let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
    let call = Call::new("GET", "/weather");
    for dialect in EVERY {
        let paid = call.with(shop.bought(&call, &ask(&app, call.request()).await).of(dialect));
        let invoices = shop.node.invoices_created();
        for trouble in [1, 2, 3] {
            mood.store(trouble, Ordering::SeqCst);
            is_our_fault(&ask(&app, paid.request()).await);
        }
        mood.store(0, Ordering::SeqCst);
        assert_eq!(shop.node.invoices_created(), invoices);
        assert_eq!(ask(&app, paid.request()).await.status(), StatusCode::OK, "{dialect}: what was paid is lost");
        assert_eq!(ask(&app, paid.request()).await.status(), StatusCode::PAYMENT_REQUIRED);
    }
}

#[tokio::test]
async fn a_store_that_is_full_forgets_nothing_that_is_live() {
    let shop = Shop::new();
    let store = MemoryStore::new().unwrap().with_clock(shop.clock.clone()).with_capacity(NonZeroUsize::MIN);
    let paywall = shop.builder_of_every_dialect().replay_store(store).build().unwrap();
    let layer = paywall.charge(Amount::from_sat(10)).unwrap();
    let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
    let call = Call::new("GET", "/weather");
    let (first, second) = (ask(&app, call.request()).await, ask(&app, call.request()).await);
    let (first, second) = (shop.bought(&call, &first), shop.bought(&call, &second));
    for dialect in EVERY {
        let status = if dialect == EVERY[0] { StatusCode::OK } else { StatusCode::PAYMENT_REQUIRED };
        assert_eq!(ask(&app, call.with(first.of(dialect)).request()).await.status(), status);
        is_our_fault(&ask(&app, call.with(second.of(dialect)).request()).await);
    }
}

#[tokio::test]
async fn what_was_not_paid_is_not_stored() {
    let shop = Shop::new();
    let store = MemoryStore::new().unwrap().with_clock(shop.clock.clone()).with_capacity(NonZeroUsize::MIN);
    let layer = shop.builder_of_every_dialect().replay_store(store).build().unwrap().charge(Amount::from_sat(10)).unwrap();
    let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
    let call = Call::new("GET", "/weather");
    for _ in 0..300 {
        assert_eq!(ask(&app, call.request()).await.status(), StatusCode::PAYMENT_REQUIRED);
    }
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    assert_eq!(ask(&app, call.with(bought.of(EVERY[2])).request()).await.status(), StatusCode::OK);
}
