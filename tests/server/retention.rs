//! How long a payment is remembered: to the second the same in every dialect. A store that pruned
//! too much while its clock was ahead knows what it forgot from that number alone.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, routing::get as on_get};
use http::StatusCode;
use tower_x402::{
    Amount, DialectName, MemoryStore, Network, PaymentHash,
    clock::Timestamp,
    lightning::BoxFuture,
    replay::{
        Consumption, ConsumptionKey, Durability, ReleaseReason, ReplayStore, StoreError, StoreId,
        UseId, UseLimits, UseRequest,
    },
};

use crate::{
    customer::{ALL, Call},
    shop::{NOW, Shop, ask},
};

/// A store that writes down until when it was asked to remember.
#[derive(Clone, Debug)]
struct Ledger(Arc<MemoryStore>, Arc<Mutex<Vec<Timestamp>>>);

impl ReplayStore for Ledger {
    fn id(&self) -> StoreId {
        self.0.id()
    }

    fn created_at(&self) -> Timestamp {
        self.0.created_at()
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        self.1.lock().unwrap().push(request.retain_until());
        self.0.consume(request)
    }

    fn release(&self, key: ConsumptionKey, id: UseId, why: ReleaseReason) {
        self.0.release(key, id, why);
    }

    fn durability(&self) -> Durability {
        self.0.durability()
    }
}

const LIVES: [Duration; 3] = [
    Duration::from_secs(60),
    Duration::from_secs(61),
    Duration::from_secs(86_400),
];

#[tokio::test]
async fn every_dialect_asks_to_remember_a_payment_equally_long() {
    for life in LIVES {
        let shop = Shop::new();
        let ledger = Ledger(shop.store.clone(), Arc::default());
        let paywall = shop
            .builder()
            .dialects(ALL)
            .replay_store(ledger.clone())
            .redeem_within(life)
            .build()
            .unwrap();
        let layer = paywall.charge(Amount::from_sat(10)).unwrap();
        let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
        let call = Call::new("GET", "/weather");
        for dialect in ALL {
            let bought = shop.bought(&call, &ask(&app, call.request()).await);
            let _ = ask(&app, call.with(bought.of(dialect)).request()).await;
        }
        let asked = ledger.1.lock().unwrap().clone();
        let until = NOW + 300 + life.as_secs().max(60) + 2 * 60 + 3600;
        assert_eq!(asked, [Timestamp::from_unix_seconds(until); 3], "{life:?}");
    }
}

fn key(number: u64) -> ConsumptionKey {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_le_bytes());
    ConsumptionKey::lightning(Network::Regtest, PaymentHash::from_bytes(hash))
}

/// Redeems in one dialect and, after a jump of the clock there and back in which the store pruned,
/// in another.
async fn twice(first: DialectName, then: DialectName, life: Duration) -> StatusCode {
    let shop = Shop::new();
    let layer = shop
        .builder()
        .dialects(ALL)
        .redeem_within(life)
        .build()
        .unwrap()
        .charge(Amount::from_sat(10))
        .unwrap();
    let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
    let call = Call::new("GET", "/weather");
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    assert_eq!(
        ask(&app, call.with(bought.of(first)).request())
            .await
            .status(),
        StatusCode::OK
    );
    shop.clock.advance(Duration::from_secs(2 * 86_400));
    let once = UseLimits::new(NonZeroU32::MIN, 0);
    for number in 0..300 {
        let _ = shop
            .store
            .consume(UseRequest::new(
                key(number),
                UseId::random().unwrap(),
                once,
                Timestamp::MAX,
            ))
            .await
            .unwrap();
    }
    shop.clock.set(Timestamp::from_unix_seconds(NOW));
    ask(&app, call.with(bought.of(then)).request())
        .await
        .status()
}

#[tokio::test]
async fn a_jump_of_the_clock_serves_no_payment_twice_in_any_two_dialects() {
    for life in LIVES {
        for first in ALL {
            for then in ALL {
                assert_eq!(
                    twice(first, then, life).await,
                    StatusCode::PAYMENT_REQUIRED,
                    "{first}, then {then}, {life:?}"
                );
            }
        }
    }
}
