use std::{num::NonZeroU32, sync::Arc};

use super::{Amount, DialectName, Network, PaymentHash};
use crate::clock::Timestamp;

/// Verified, not yet spent. Only a dialect's `verify` makes one.
#[derive(Clone, Debug)]
#[must_use = "a proof that is not spent buys nothing"]
pub(crate) struct Proof {
    pub(crate) dialect: DialectName,
    pub(crate) network: Network,
    pub(crate) payment_hash: PaymentHash,
    /// The authenticated amount: what was quoted, never a price computed anew.
    pub(crate) amount: Amount,
    pub(crate) spend: Spend,
    /// Until when the credential is accepted.
    pub(crate) valid_until: Timestamp,
    /// What the dialect's receipt line must repeat, such as MPP's challenge id.
    pub(crate) note: Option<Arc<str>>,
}

/// What the store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spend {
    /// Nothing: time alone ends this access.
    Never,
    /// One of `uses`.
    Times {
        uses: NonZeroU32,
        /// How many failed uses may come back.
        restores: u32,
        retain_until: Timestamp,
    },
}
