use std::fmt;

/// The name of a payment protocol that this crate supports. The variants are in alphabetical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DialectName {
    /// L402, formerly called LSAT.
    L402,
    /// The `Payment` authentication scheme with method `lightning`.
    Mpp,
    /// x402 version 2, scheme `exact` on `lnbtc`.
    X402,
}

impl DialectName {
    /// Returns the name in lower case, as in problem details and log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L402 => "l402",
            Self::Mpp => "mpp",
            Self::X402 => "x402",
        }
    }
}

impl fmt::Display for DialectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
