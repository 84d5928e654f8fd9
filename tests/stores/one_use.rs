//! Payments for a use, as the tests of every store take them.

use std::num::NonZeroU32;

use tower_x402::{
    Network, PaymentHash,
    clock::Timestamp,
    replay::{
        Consumption, ConsumptionKey, ReleaseReason, ReplayStore, StoreError, UseId, UseLimits,
        UseRequest,
    },
};

pub(crate) const ONCE: UseLimits = UseLimits::new(NonZeroU32::MIN, 0);
pub(crate) const GRANTED: Consumption = Consumption::Granted { remaining: 0 };

pub(crate) fn key(number: u64) -> ConsumptionKey {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_le_bytes());
    ConsumptionKey::lightning(Network::Regtest, PaymentHash::from_bytes(hash))
}

/// Takes a use of a payment that the store must remember until then.
pub(crate) async fn take(
    store: &dyn ReplayStore,
    key: ConsumptionKey,
    limits: UseLimits,
    until: Timestamp,
) -> Result<Consumption, StoreError> {
    let use_id = UseId::random().unwrap();
    store
        .consume(UseRequest::new(key, use_id, limits, until))
        .await
}

/// Takes uses of payments, gives all back at once, and waits until that is written.
pub(crate) async fn give_back(store: &dyn ReplayStore, payments: std::ops::Range<u64>) {
    let uses = payments.map(async |number| {
        let use_id = UseId::random().unwrap();
        let request = UseRequest::new(key(number), use_id, ONCE, Timestamp::MAX);
        assert_eq!(store.consume(request).await.unwrap(), GRANTED);
        (number, use_id)
    });
    for (number, use_id) in futures_util::future::join_all(uses).await {
        store.release(key(number), use_id, ReleaseReason::NotServed);
    }
    store.flush().await;
}
