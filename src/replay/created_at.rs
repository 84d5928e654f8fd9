//! When a store was made, and what it can vouch for since then.

#[cfg(feature = "server")]
use std::time::Duration;

#[cfg(feature = "server")]
use super::ReplayStore;
use crate::clock::Timestamp;
#[cfg(feature = "server")]
use crate::payment::SKEW;

/// 2020-09-13, years before this crate. A clock that says less was never set: a machine that has no
/// battery for its clock starts in 1970, or when its software was built.
const EARLIEST: Timestamp = Timestamp::from_unix_seconds(1_600_000_000);

/// Returns the [`created_at`](super::ReplayStore::created_at) of a store that is made `now`; `None`
/// if the clock was never set.
pub(super) fn created_at(now: Timestamp) -> Option<Timestamp> {
    (now >= EARLIEST).then_some(now)
}

/// Returns the earliest creation time of an invoice that no earlier store can have seen paid. This
/// holds if any two clocks differ by at most `skew`. The store can vouch for such an invoice.
#[cfg(feature = "server")]
pub(crate) fn vouches_from(store: &dyn ReplayStore, skew: Duration) -> Timestamp {
    let last_unknown = store.created_at().saturating_add(2 * skew);
    last_unknown.saturating_add(Duration::from_secs(1))
}

/// Checks that a store for proofs without a key of this server was not made in the future.
#[cfg(feature = "server")]
pub(crate) fn check_created_at(
    store: &dyn ReplayStore,
    now: Timestamp,
) -> Result<(), &'static str> {
    if store.created_at() <= now.saturating_add(SKEW) {
        return Ok(());
    }
    Err(
        "the replay store would refuse every proof of another server: its `created_at` is in the future, or it was made while the clock \
         was not set; set the clock and open the store again, and if that does not help, open an empty one",
    )
}
