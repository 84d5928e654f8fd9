//! What names a payment, a use of it, and a store.

use std::fmt;

use super::{StoreError, StoreErrorKind};
use crate::payment::{Network, PaymentHash};

/// What is consumed: one payment on one network, whatever the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConsumptionKey {
    network: Network,
    payment_hash: PaymentHash,
}

impl ConsumptionKey {
    /// The key of a payment.
    #[must_use]
    pub const fn new(network: Network, payment_hash: PaymentHash) -> Self {
        Self {
            network,
            payment_hash,
        }
    }

    /// The network.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.network
    }

    /// The payment.
    #[must_use]
    pub const fn payment_hash(&self) -> PaymentHash {
        self.payment_hash
    }
}

/// `network:payment_hash` as lnbtc, "Settlement and Replay Protection", writes it, with the CAIP-2
/// id of the network.
impl fmt::Display for ConsumptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.network.caip2(), self.payment_hash)
    }
}

/// Names one attempt to consume, so that it can be taken back although its outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UseId([u8; 16]);

impl UseId {
    /// A random one.
    ///
    /// # Errors
    ///
    /// Where the operating system has no randomness.
    pub fn random() -> Result<Self, StoreError> {
        random().map(Self)
    }

    /// From its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Names one store for life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId([u8; 16]);

impl StoreId {
    /// A random one.
    ///
    /// # Errors
    ///
    /// Where the operating system has no randomness.
    pub fn random() -> Result<Self, StoreError> {
        random().map(Self)
    }

    /// From its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

fn random() -> Result<[u8; 16], StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        StoreError::new(
            StoreErrorKind::Unavailable,
            "the system's randomness",
            error.to_string(),
        )
    })?;
    Ok(bytes)
}
