//! The names of a payment, of one use of it, and of a store.

use std::fmt;

use super::{StoreError, StoreErrorKind};
use crate::payment::{Network, PaymentHash};

/// The name of a payment in a [`ReplayStore`](super::ReplayStore). It does not depend on the
/// dialect of the credential.
///
/// A store uses [`as_bytes`](Self::as_bytes) as its key, and needs nothing else. Today every
/// payment is a Lightning payment. Other rails (ways to move money) may be added. For their keys,
/// [`network`](Self::network) and [`payment_hash`](Self::payment_hash) return `None`.
///
/// ```
/// use tower_x402::{Network, Preimage, replay::ConsumptionKey};
///
/// let payment_hash = Preimage::from_bytes([7; 32]).payment_hash();
/// let key = ConsumptionKey::lightning(Network::Regtest, payment_hash);
/// assert_eq!(key.payment_hash(), Some(payment_hash));
/// assert_eq!(ConsumptionKey::from_bytes(key.as_bytes()), Some(key));
/// assert_eq!(ConsumptionKey::from_bytes(b"no key"), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConsumptionKey(pub(super) [u8; KEY_LENGTH]);

impl ConsumptionKey {
    /// Creates the key of a Lightning payment.
    #[must_use]
    pub const fn lightning(network: Network, payment_hash: PaymentHash) -> Self {
        let mut bytes = [network_code(network); KEY_LENGTH];
        bytes
            .split_at_mut(1)
            .1
            .copy_from_slice(payment_hash.as_bytes());
        Self(bytes)
    }

    /// Reads a key that [`as_bytes`](Self::as_bytes) returned, in this process or in an earlier
    /// one. Returns `None` for bytes that are not a key of this version of the crate.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key = Self(bytes.try_into().ok()?);
        key.network().map(|_| key)
    }

    /// Returns the bytes that a store keys by: at most 64. Two payments never have the same bytes,
    /// and the bytes of a payment never change, so they may be kept on a disk.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the Bitcoin network of a Lightning payment.
    #[must_use]
    pub fn network(&self) -> Option<Network> {
        let is_own = |network: &Network| network_code(*network) == self.0[0];
        Network::ALL.into_iter().find(is_own)
    }

    /// Returns the payment hash of a Lightning payment.
    #[must_use]
    pub fn payment_hash(&self) -> Option<PaymentHash> {
        let (_, hash) = self.0.split_first_chunk::<1>()?;
        let hash = PaymentHash::from_bytes(hash.try_into().ok()?);
        self.network().map(|_| hash)
    }
}

/// For a Lightning payment `network:payment_hash`, with the network's CAIP-2 id, as lnbtc,
/// "Settlement and Replay Protection", writes it.
impl fmt::Display for ConsumptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.network(), self.payment_hash()) {
            (Some(network), Some(hash)) => write!(f, "{}:{hash}", network.caip2()),
            _ => f.write_str("unknown"),
        }
    }
}

impl fmt::Debug for ConsumptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConsumptionKey({self})")
    }
}

/// The first byte of a key: a network of Lightning's. A key of another rail would start with
/// another byte. Stores keep it, so it never changes.
const fn network_code(network: Network) -> u8 {
    match network {
        Network::Bitcoin => 0,
        Network::Regtest => 1,
        Network::Signet => 2,
        Network::Testnet => 3,
    }
}

/// The network's code and the payment hash.
pub(super) const KEY_LENGTH: usize = 1 + 32;

macro_rules! random_id {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Creates a random id.
            ///
            /// # Errors
            ///
            /// [`StoreErrorKind::Unavailable`] if the operating system has no randomness.
            pub fn random() -> Result<Self, StoreError> {
                let mut bytes = [0; 16];
                getrandom::fill(&mut bytes).map_err(no_randomness)?;
                Ok(Self(bytes))
            }

            /// Creates an id from its 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Returns the 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }
    };
}

random_id! {
    /// The name of one attempt to consume. With it a use can be released even if the outcome is
    /// unknown.
    UseId
}

random_id! {
    /// The name of one store. It never changes.
    StoreId
}

fn no_randomness(error: getrandom::Error) -> StoreError {
    StoreError::new(
        StoreErrorKind::Unavailable,
        "the system's randomness",
        error.to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Durable folders hold these bytes.
    #[test]
    fn a_key_is_one_byte_for_its_network_and_then_the_payment_hash() {
        let networks = [
            (0, Network::Bitcoin),
            (1, Network::Regtest),
            (2, Network::Signet),
            (3, Network::Testnet),
        ];
        for (code, network) in networks {
            let mut expected = [7; KEY_LENGTH];
            expected[0] = code;
            let key = ConsumptionKey::lightning(network, PaymentHash::from_bytes([7; 32]));
            assert_eq!(key.as_bytes(), expected);
            assert_eq!(ConsumptionKey::from_bytes(&expected), Some(key));
            assert_eq!(key.network(), Some(network));
            assert_eq!(key.payment_hash(), Some(PaymentHash::from_bytes([7; 32])));
            assert_eq!(
                key.to_string(),
                format!("{}:{}", network.caip2(), PaymentHash::from_bytes([7; 32]))
            );
        }
    }

    #[test]
    fn bytes_of_another_length_or_of_an_unknown_rail_are_no_key() {
        let mut unknown = [7; KEY_LENGTH];
        unknown[0] = 4;
        let wrong: [&[u8]; 4] = [&[], &[0; KEY_LENGTH - 1], &[0; KEY_LENGTH + 1], &unknown];
        for bytes in wrong {
            assert_eq!(ConsumptionKey::from_bytes(bytes), None, "{bytes:?}");
        }
    }
}
