use crate::{
    clock::Timestamp,
    dialect::{
        MacKey,
        keys::{DerivedKey, OriginKeys, Purpose},
    },
    payment::PaymentHash,
};

/// Root keys of tokens whose uses are counted in one particular store.
pub(in crate::dialect) const COUNTED: Purpose = Purpose {
    label: "l402/counted",
    is_counted: true,
};

/// Root keys of tokens that only time ends.
pub(in crate::dialect) const TIMED: Purpose = Purpose {
    label: "l402/timed",
    is_counted: false,
};

/// The identifier of a token's macaroon: `u16 version = 0 | payment hash | token id`, 66 bytes
/// ([L402](super), "Macaroon Identifier").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identifier {
    payment_hash: PaymentHash,
    token_id: [u8; 32],
}

impl Identifier {
    /// Creates an identifier from its two parts.
    #[must_use]
    pub const fn new(payment_hash: PaymentHash, token_id: [u8; 32]) -> Self {
        Self {
            payment_hash,
            token_id,
        }
    }

    /// Reads an identifier. `None` for another version or length.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (payment_hash, token_id) = Self::split(bytes)?;
        Some(Self {
            payment_hash: PaymentHash::from_bytes(*payment_hash),
            token_id: *token_id,
        })
    }

    /// Returns the 66 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 66] {
        let mut bytes = [0; 66];
        bytes[2..34].copy_from_slice(self.payment_hash.as_bytes());
        bytes[34..].copy_from_slice(&self.token_id);
        bytes
    }

    /// Returns the payment that the token is for.
    #[must_use]
    pub const fn payment_hash(&self) -> PaymentHash {
        self.payment_hash
    }

    /// Returns the token's id.
    #[must_use]
    pub const fn token_id(&self) -> &[u8; 32] {
        &self.token_id
    }

    /// Creates the identifier of a token for a fresh payment hash. The token id is the key's id (4
    /// bytes), the moment of the sale (8 bytes, big-endian Unix seconds), and the rest of a MAC of
    /// the hash. So nothing random is drawn and nothing is stored. The token's root key is a MAC of
    /// the token id, so it authenticates the moment.
    pub(super) fn mint(payment_hash: PaymentHash, sold_at: Timestamp, key: &DerivedKey) -> Self {
        let mut message = [0; 40];
        message[..8].copy_from_slice(b"token id");
        message[8..].copy_from_slice(payment_hash.as_bytes());
        let mut token_id = key.mac.mac(&message);
        token_id[..4].copy_from_slice(&key.id);
        token_id[4..12].copy_from_slice(&sold_at.as_unix_seconds().to_be_bytes());
        Self {
            payment_hash,
            token_id,
        }
    }

    /// Returns payment hash and token id as references into the bytes.
    pub(super) fn split(bytes: &[u8]) -> Option<(&[u8; 32], &[u8; 32])> {
        let (payment_hash, token_id) = bytes.strip_prefix(&VERSION)?.split_first_chunk()?;
        Some((payment_hash, token_id.try_into().ok()?))
    }
}

/// Returns when a token was sold. `None` for one of a version that did not say so: it has bytes of a
/// MAC there, which almost never look like a moment before the year 36,000.
pub(super) fn sold_at(token_id: &[u8; 32]) -> Option<Timestamp> {
    let seconds = u64::from_be_bytes(*token_id[4..].first_chunk()?);
    (seconds < 1 << 40).then(|| Timestamp::from_unix_seconds(seconds))
}

/// Returns the key that a token was minted under, and its purpose. The token's own root key is that
/// key's MAC of the token id.
pub(super) fn key<'k>(token_id: &[u8; 32], keys: &'k OriginKeys) -> Option<(&'k MacKey, Purpose)> {
    let id = *token_id.first_chunk()?;
    let found = |purpose| Some((&keys.by_id(purpose, id)?.mac, purpose));
    [COUNTED, TIMED].into_iter().find_map(found)
}

const VERSION: [u8; 2] = [0, 0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_version_zero_of_exactly_66_bytes_is_read() {
        let identifier = Identifier::new(PaymentHash::from_bytes([1; 32]), [2; 32]);
        let bytes = identifier.to_bytes();
        assert_eq!(Identifier::parse(&bytes), Some(identifier));
        assert_eq!(Identifier::parse(&bytes[..65]), None);
        assert_eq!(Identifier::parse(&[&bytes[..], &[0]].concat()), None);
        for version in [[0, 1], [1, 0]] {
            assert_eq!(
                Identifier::parse(&[&version[..], &bytes[2..]].concat()),
                None
            );
        }
    }
}
