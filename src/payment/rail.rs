use std::fmt;

use super::{Amount, Network, PaymentHash};

/// The payment behind a receipt, with one variant for each rail (way to move money).
///
/// Lightning is the only rail today. The enum can grow, so match it with a last arm `_`, or use the
/// short accessors of [`PaymentReceipt`](super::PaymentReceipt), which are `None` for other rails.
/// It prints the amount with its unit, for example `10 sat`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Payment {
    /// A payment over Bitcoin's Lightning Network.
    Lightning(LightningPayment),
}

impl Payment {
    /// Returns the payment, or `None` if it was not made over Lightning.
    #[must_use]
    pub const fn as_lightning(&self) -> Option<&LightningPayment> {
        match self {
            Self::Lightning(payment) => Some(payment),
        }
    }
}

impl fmt::Display for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lightning(payment) => payment.amount.fmt(f),
        }
    }
}

/// A payment over Bitcoin's Lightning Network.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LightningPayment {
    pub(super) amount: Amount,
    pub(super) network: Network,
    pub(super) payment_hash: PaymentHash,
}

impl LightningPayment {
    /// Returns the amount that was paid.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        self.amount
    }

    /// Returns the network on which it was paid.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.network
    }

    /// Returns the hash that identifies the payment.
    #[must_use]
    pub const fn payment_hash(&self) -> PaymentHash {
        self.payment_hash
    }
}
