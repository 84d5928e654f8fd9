//! Checks that a paywall can accept proofs that other servers issued.

use super::ConfigError;
use crate::{
    clock::Timestamp,
    dialect::Dialect,
    lightning::{KeyCustody, ReceiverProfile},
    payment::SKEW,
    replay::{Durability, ReplayStore, check_created_at, vouches_from},
    trace,
};

/// Refuses a set-up in which foreign proofs are unsafe or useless. Logs if none counts yet because
/// the store is new.
pub(in crate::server) fn check(
    profile: &ReceiverProfile,
    store: &dyn ReplayStore,
    dialects: &[Box<dyn Dialect>],
    now: Timestamp,
) -> Result<(), ConfigError> {
    if profile.key_custody == KeyCustody::Shared {
        return Err(ConfigError::new(
            "others can make this node sign: .accept_foreign_proofs() needs a key that only you hold",
        ));
    }
    if store.durability() == Durability::Volatile {
        return Err(ConfigError::new(
            ".accept_foreign_proofs() needs a durable store, shared by all servers of this receiver key: use one, such as \
             DurableStore::open(\"spent\")?, or leave it out (.allow_volatile_replay_store() does not change that)",
        ));
    }
    if dialects
        .iter()
        .all(|dialect| !dialect.takes_foreign_proofs())
    {
        return Err(ConfigError::new(
            ".accept_foreign_proofs() does nothing without x402: leave it out, or enable x402 (the feature, and .dialects([..]))",
        ));
    }
    check_created_at(store, now).map_err(ConfigError::new)?;
    let first = vouches_from(store, SKEW);
    if now < first {
        trace::warn(format_args!(
            "the replay store is new: proofs of other servers (.accept_foreign_proofs()) count if their invoice was made at {} or \
             later, which is in {} s; older ones are answered with 402",
            first.to_iso_8601(),
            first.saturating_since(now).as_secs()
        ));
    }
    Ok(())
}
