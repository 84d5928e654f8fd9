use std::fmt;

use crate::codec::{hex, parts::hash_of_parts};

/// Which wallet pays: a name that stays the same across restarts and differs between wallets.
///
/// A ledger records it with each payment. So only the wallet that was asked to pay can say later
/// that it knows nothing of the payment. It is a hash, and `Display` prints 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PayerId([u8; 32]);

impl PayerId {
    /// Creates the id of a wallet from the kind of its software, and what tells it from all others
    /// of that kind: for a node, its public key.
    #[must_use]
    pub fn of(kind: &str, name: &[u8]) -> Self {
        Self(hash_of_parts([kind.as_bytes(), name]))
    }

    /// Creates an id from its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PayerId({self})")
    }
}

impl serde::Serialize for PayerId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_wallets_have_two_ids_also_if_their_names_run_together() {
        let id = PayerId::of("LND", b"02ab");
        assert_eq!(id, PayerId::of("LND", b"02ab"));
        for other in [("LND", &b"02ac"[..]), ("LN", b"D02ab"), ("CLN", b"02ab")] {
            assert_ne!(id, PayerId::of(other.0, other.1), "{other:?}");
        }
        assert_eq!(PayerId::from_bytes(*id.as_bytes()), id);
        assert_eq!(format!("PayerId({id})"), format!("{id:?}"));
    }
}
