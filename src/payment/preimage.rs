use std::fmt;

use zeroize::Zeroize;

use crate::codec::{hex, sha256};

/// The secret half of a payment, 32 bytes. Its holder can prove that the invoice was paid.
///
/// It is wiped from memory when dropped. `Debug` prints `Preimage(..)`, and there is no `Display`.
#[derive(Clone)]
pub struct Preimage([u8; 32]);

impl Preimage {
    /// Creates a preimage from its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a preimage from 64 hexadecimal digits, in upper or lower case. Returns `None` for any
    /// other text.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode_any_case(text).map(Self)
    }

    /// Returns the payment hash of this preimage, as its invoice carries it.
    #[must_use]
    pub fn payment_hash(&self) -> PaymentHash {
        PaymentHash(sha256::hash_of_32(&self.0))
    }

    /// Returns the secret bytes. Use them only to send the proof of payment.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the secret as 64 lower-case hexadecimal digits. Use them only to send the proof of
    /// payment.
    #[must_use]
    pub fn expose_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for Preimage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preimage(..)")
    }
}

impl Drop for Preimage {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

/// The public half of a payment: the SHA-256 hash of its [`Preimage`]. `Display` prints 64
/// lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaymentHash([u8; 32]);

impl PaymentHash {
    /// Creates a payment hash from its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a payment hash from 64 hexadecimal digits, in upper or lower case. Returns `None` for
    /// any other text.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode_any_case(text).map(Self)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns whether this is the hash of `preimage`. The comparison takes constant time.
    #[must_use]
    pub fn is_of(&self, preimage: &Preimage) -> bool {
        constant_time_eq::constant_time_eq_32(&self.0, &preimage.payment_hash().0)
    }
}

impl fmt::Debug for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PaymentHash({self})")
    }
}

impl fmt::Display for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl serde::Serialize for PaymentHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preimage_is_never_shown() {
        let preimage = Preimage::from_bytes([7; 32]);
        assert_eq!(
            format!("{preimage:?} {:#?}", Some(&preimage)),
            "Preimage(..) Some(\n    Preimage(..),\n)"
        );
        assert!(preimage.payment_hash().is_of(&preimage));
        assert!(
            !preimage
                .payment_hash()
                .is_of(&Preimage::from_bytes([8; 32]))
        );
    }
}
