use std::num::NonZeroU32;

use super::{ConsumptionKey, UseId};
use crate::clock::Timestamp;

/// One use of a payment that [`ReplayStore::consume`](super::ReplayStore::consume) is asked for.
///
/// Later versions may add fields, such as a record that the store writes in the same atomic step. A
/// store that does not support an addition will not be asked for it.
///
/// ```
/// use std::num::NonZeroU32;
/// use tower_x402::{Network, Preimage, clock::Timestamp};
/// use tower_x402::replay::{ConsumptionKey, UseId, UseLimits, UseRequest};
///
/// let payment_hash = Preimage::from_bytes([7; 32]).payment_hash();
/// let key = ConsumptionKey::lightning(Network::Regtest, payment_hash);
/// let once = UseLimits::new(NonZeroU32::MIN, 0);
/// let until = Timestamp::from_unix_seconds(1_800_000_000);
/// let request = UseRequest::new(key, UseId::random()?, once, until);
/// assert_eq!((request.key(), request.limits()), (key, once));
/// # Ok::<(), tower_x402::replay::StoreError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseRequest {
    key: ConsumptionKey,
    use_id: UseId,
    limits: UseLimits,
    retain_until: Timestamp,
    serving_until: Option<Timestamp>,
}

impl UseRequest {
    /// Creates a request for one use.
    #[must_use]
    pub const fn new(
        key: ConsumptionKey,
        use_id: UseId,
        limits: UseLimits,
        retain_until: Timestamp,
    ) -> Self {
        Self {
            key,
            use_id,
            limits,
            retain_until,
            serving_until: None,
        }
    }

    /// Asks the store to note that the use is being served until this deadline, or until
    /// [`Serving::served`](super::Serving::served). Only for stores with
    /// [`serving`](super::ReplayStore::serving); others ignore it.
    #[must_use]
    pub const fn with_serving_until(mut self, deadline: Timestamp) -> Self {
        self.serving_until = Some(deadline);
        self
    }

    /// Returns the payment to use.
    #[must_use]
    pub const fn key(&self) -> ConsumptionKey {
        self.key
    }

    /// Returns the id of this use. A repeated request with the same id takes nothing more.
    #[must_use]
    pub const fn use_id(&self) -> UseId {
        self.use_id
    }

    /// Returns how often the payment may be used. Two requests for one payment may have different
    /// limits, for example after a change of configuration. The limits in this request apply to it.
    #[must_use]
    pub const fn limits(&self) -> UseLimits {
        self.limits
    }

    /// Returns the last second at which the store must still remember the payment.
    #[must_use]
    pub const fn retain_until(&self) -> Timestamp {
        self.retain_until
    }

    /// Returns the last second at which the use counts as being served, if the caller wants the
    /// store to note that.
    #[must_use]
    pub const fn serving_until(&self) -> Option<Timestamp> {
        self.serving_until
    }
}

/// How often one payment may be used, and how many failed uses may be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UseLimits {
    /// The number of uses that one payment buys.
    pub uses: NonZeroU32,
    /// The number of [`ReleaseReason::Failed`](super::ReleaseReason::Failed) releases that give
    /// their use back.
    pub restores: u32,
}

impl UseLimits {
    /// Creates limits of `uses` uses, of which `restores` failed ones may be given back.
    #[must_use]
    pub const fn new(uses: NonZeroU32, restores: u32) -> Self {
        Self { uses, restores }
    }
}
