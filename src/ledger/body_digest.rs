use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::codec::hex;

/// The length and the SHA-256 hash of a request's body, for a person who decides about a payment.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyDigest {
    /// The length in bytes.
    pub length: u64,
    /// The SHA-256 hash.
    pub sha256: [u8; 32],
}

impl BodyDigest {
    /// Creates the digest of a body.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self {
            length: body.len() as u64,
            sha256: Sha256::digest(body).into(),
        }
    }
}

impl fmt::Display for BodyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { length, sha256 } = self;
        write!(f, "{length} bytes, SHA-256 {}", hex::encode(sha256))
    }
}

impl fmt::Debug for BodyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyDigest({self})")
    }
}

/// Serialises an object with `length` in bytes and `sha256` in hexadecimal digits.
impl serde::Serialize for BodyDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;

        let mut object = serializer.serialize_struct("BodyDigest", 2)?;
        object.serialize_field("length", &self.length)?;
        object.serialize_field("sha256", &hex::encode(self.sha256))?;
        object.end()
    }
}
