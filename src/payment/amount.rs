use std::fmt;

/// An amount of bitcoin, in millisatoshi (msat); 1 sat is 1,000 msat.
///
/// There are no operators. The `checked_` methods return `None` if the result does not fit.
///
/// ```
/// use tower_x402::Amount;
///
/// assert_eq!(Amount::from_sat(10).as_msat(), 10_000);
/// assert_eq!(Amount::from_sat(10).to_string(), "10 sat");
/// assert_eq!(Amount::from_msat(1_500).to_string(), "1.5 sat");
/// assert_eq!(Amount::from_msat(1_500).as_whole_sat(), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Amount(u64);

impl Amount {
    /// Zero. A routing fee may be zero, a price may not.
    pub const ZERO: Self = Self(0);

    /// 21 million bitcoin, which is all that will ever exist.
    #[cfg(feature = "server")]
    pub(crate) const ALL_BITCOIN: Self = Self(21_000_000 * 100_000_000 * 1_000);

    /// Creates an amount from whole satoshis, up to 42.9 bitcoin. For more, use
    /// [`Amount::try_from_sat`].
    #[must_use]
    pub const fn from_sat(sat: u32) -> Self {
        Self(sat as u64 * 1_000)
    }

    /// Creates an amount from whole satoshis. Returns `None` if the msat do not fit into 64 bits.
    #[must_use]
    pub const fn try_from_sat(sat: u64) -> Option<Self> {
        match sat.checked_mul(1_000) {
            Some(msat) => Some(Self(msat)),
            None => None,
        }
    }

    /// Creates an amount from millisatoshis.
    #[must_use]
    pub const fn from_msat(msat: u64) -> Self {
        Self(msat)
    }

    /// Returns the amount in millisatoshis.
    #[must_use]
    pub const fn as_msat(self) -> u64 {
        self.0
    }

    /// Returns the amount in satoshis, or `None` if it is not a whole number of satoshis.
    #[must_use]
    pub const fn as_whole_sat(self) -> Option<u64> {
        if self.0.is_multiple_of(1_000) {
            Some(self.0 / 1_000)
        } else {
            None
        }
    }

    /// Returns the amount rounded up to a whole satoshi, or `None` if that does not fit.
    #[cfg(feature = "server")]
    pub(crate) const fn rounded_up_to_sat(self) -> Option<Self> {
        match self.0.checked_next_multiple_of(1_000) {
            Some(msat) => Some(Self(msat)),
            None => None,
        }
    }

    /// Returns whether the amount is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Returns the sum, or `None` if it does not fit.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(msat) => Some(Self(msat)),
            None => None,
        }
    }

    /// Returns the difference, or `None` if `other` is more.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(msat) => Some(Self(msat)),
            None => None,
        }
    }

    /// Returns `times` times the amount, or `None` if it does not fit.
    #[must_use]
    pub const fn checked_mul(self, times: u64) -> Option<Self> {
        match self.0.checked_mul(times) {
            Some(msat) => Some(Self(msat)),
            None => None,
        }
    }
}

/// Prints satoshis with up to three decimals and the unit: `10 sat`, `1.5 sat`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000, self.0 % 1_000);
        if rest == 0 {
            return write!(f, "{whole} sat");
        }
        let decimals = format!("{rest:03}");
        write!(f, "{whole}.{} sat", decimals.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_exact_to_the_millisatoshi() {
        for (msat, text) in [
            (0, "0 sat"),
            (1, "0.001 sat"),
            (1_010, "1.01 sat"),
            (u64::MAX, "18446744073709551.615 sat"),
        ] {
            assert_eq!(Amount(msat).to_string(), text);
        }
    }

    #[test]
    fn rounding_to_a_satoshi_never_lowers_an_amount() {
        for (msat, rounded) in [
            (0, 0),
            (1, 1_000),
            (999, 1_000),
            (1_000, 1_000),
            (1_001, 2_000),
        ] {
            assert_eq!(Amount(msat).rounded_up_to_sat(), Some(Amount(rounded)));
        }
    }

    #[test]
    fn nothing_wraps() {
        assert_eq!(Amount(u64::MAX).checked_add(Amount(1)), None);
        assert_eq!(Amount(0).checked_sub(Amount(1)), None);
        assert_eq!(Amount(u64::MAX).checked_mul(2), None);
        assert_eq!(Amount(u64::MAX).rounded_up_to_sat(), None);
        assert_eq!(Amount::try_from_sat(u64::MAX), None);
        assert_eq!(Amount::from_sat(u32::MAX).as_msat(), 4_294_967_295_000);
    }
}
