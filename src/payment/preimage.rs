use std::fmt;

use zeroize::Zeroize;

use crate::codec::{hex, sha256};

/// The secret half of a payment: whoever holds it has proof of having paid. 32 bytes.
///
/// It is wiped when dropped and shown by nothing: `Debug` prints `Preimage(..)`.
#[derive(Clone)]
pub struct Preimage([u8; 32]);

impl Preimage {
    /// From its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From 64 hexadecimal digits of either case.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode_any_case(text).map(Self)
    }

    /// The hash that an invoice made for this preimage carries.
    #[must_use]
    pub fn payment_hash(&self) -> PaymentHash {
        PaymentHash(sha256::hash_of_32(&self.0))
    }

    /// The secret, for whoever must send it.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The secret as 64 lower-case hexadecimal digits, for whoever must send it.
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

/// The public half of a payment: SHA-256 of the [`Preimage`]. Shown as 64 lower-case hexadecimal
/// digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaymentHash([u8; 32]);

impl PaymentHash {
    /// From its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From 64 hexadecimal digits of either case.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode_any_case(text).map(Self)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `preimage` is the one, compared in constant time.
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
