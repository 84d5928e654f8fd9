//! Payments for a use, as the tests of every store take them.

use std::num::NonZeroU32;

use tower_x402::{
    Network, PaymentHash,
    clock::Timestamp,
    replay::{Consumption, ConsumptionKey, ReplayStore, StoreError, UseId, UseLimits, UseRequest},
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
