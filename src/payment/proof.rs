use std::{num::NonZeroU32, sync::Arc};

use super::{Amount, DialectName, Network, PaymentHash};
use crate::clock::Timestamp;

/// A payment that was verified and is not spent yet. Only a dialect's `verify` creates one.
#[derive(Clone, Debug)]
#[must_use = "a proof that is not spent buys nothing"]
pub(crate) struct Proof {
    pub(crate) dialect: DialectName,
    pub(crate) network: Network,
    pub(crate) payment_hash: PaymentHash,
    /// The amount that was quoted and authenticated. It is never a price that was computed again.
    pub(crate) amount: Amount,
    pub(crate) spend: Spend,
    /// Until when the credential is accepted.
    pub(crate) valid_until: Timestamp,
    /// Text that the dialect's receipt header must repeat, such as MPP's challenge id.
    pub(crate) note: Option<Arc<str>>,
}

/// How the store counts a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spend {
    /// Not at all: the access ends with time only.
    Never,
    /// This request takes one of `uses`.
    Times {
        uses: NonZeroU32,
        /// How many failed uses the store may give back.
        restores: u32,
        /// Until when the store must remember the payment.
        retain_until: Timestamp,
    },
}
