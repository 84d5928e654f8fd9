//! Since when a store exists, if the clock can be believed.

#[cfg(feature = "server")]
use super::ReplayStore;
use crate::clock::Timestamp;
#[cfg(feature = "server")]
use crate::payment::SKEW;

/// 2020-09-13, years before this crate. A clock that says less was never set: a machine that has no
/// battery for its clock starts in 1970, or when its software was built.
const EARLIEST: Timestamp = Timestamp::from_unix_seconds(1_600_000_000);

/// Since when a store exists that is made `now`; `None` if the clock was never set.
pub(super) fn birth(now: Timestamp) -> Option<Timestamp> {
    (now >= EARLIEST).then_some(now)
}

/// Checks that a store which is to consume proofs that no key of ours vouches for was not made in
/// the future.
#[cfg(feature = "server")]
pub(crate) fn check_birth(store: &dyn ReplayStore, now: Timestamp) -> Result<(), &'static str> {
    if store.created_at() <= now.saturating_add(SKEW) {
        return Ok(());
    }
    Err(
        "the replay store would refuse all proofs of others: by its `created_at` it was made in the future, or while the clock was \
         never set; set the clock and open the store again, and if that does not help, open an empty one",
    )
}
