use std::fmt;

use super::{LedgerError, LedgerErrorKind};
use crate::codec::{hex, parts::hash_of_parts};

/// The name of an [`Entry`](super::Entry): 16 random bytes, printed as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId([u8; 16]);

impl EntryId {
    pub(super) fn random() -> Result<Self, LedgerError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| LedgerError::new(LedgerErrorKind::Unavailable, error.to_string()))?;
        Ok(Self(bytes))
    }

    /// Creates an id from its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads an id from 32 hexadecimal digits. Returns `None` for any other text.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode_any_case(text).map(Self)
    }

    /// Returns the 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Reads an id as [`EntryId::from_hex`] does.
impl std::str::FromStr for EntryId {
    type Err = LedgerError;

    fn from_str(text: &str) -> Result<Self, LedgerError> {
        Self::from_hex(text).ok_or_else(no_id)
    }
}

/// The error for a text that is no id.
pub(super) fn no_id() -> LedgerError {
    let why = "expected an id of 32 hexadecimal digits";
    LedgerError::new(LedgerErrorKind::Invalid, why)
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryId({self})")
    }
}

impl serde::Serialize for EntryId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The name of a request: the same request made again has the same key, also after a restart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey([u8; 32]);

impl RequestKey {
    /// Hashes all parts that make a request the same: its method, URL, the hash of its body and the
    /// headers that a payment is bound to. The order and the division of the parts count.
    #[must_use]
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self(hash_of_parts(parts))
    }

    /// Creates a key from its 32 bytes.
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

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestKey({})", hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::ApprovalId;

    #[test]
    fn ids_are_read_from_what_they_print_and_from_nothing_else() {
        let text = "5a".repeat(16);
        let (entry, approval): (EntryId, ApprovalId) =
            (text.parse().unwrap(), text.parse().unwrap());
        assert_eq!(
            (entry.to_string(), approval.to_string()),
            (text.clone(), text)
        );
        assert!("5a".parse::<EntryId>().is_err());
        let error = "xyz".parse::<ApprovalId>().unwrap_err();
        assert!(
            error.to_string().contains("32 hexadecimal digits"),
            "{error}"
        );
    }
}
