use std::{error::Error, fmt};

use crate::boxed::BoxError;

/// An error of the ledger. Nothing must be paid then.
pub struct LedgerError {
    kind: LedgerErrorKind,
    source: BoxError,
}

/// The kind of a [`LedgerError`]. The variants are in alphabetical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LedgerErrorKind {
    /// The ledger holds something else under this name: a budget with other limits, or a payment
    /// in a state that allows no such step.
    Conflict,
    /// The ledger was not opened, because its data is damaged, or older than what it acknowledged.
    Corrupt,
    /// The ledger has no room for another record.
    Full,
    /// A name or a limit that the ledger does not take.
    Invalid,
    /// The ledger cannot be read or written now.
    Unavailable,
    /// The ledger knows no such payment or budget.
    Unknown,
}

impl LedgerError {
    pub(super) fn new(kind: LedgerErrorKind, source: impl Into<BoxError>) -> Self {
        Self {
            kind,
            source: source.into(),
        }
    }

    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> LedgerErrorKind {
        self.kind
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            LedgerErrorKind::Conflict => "holds something else",
            LedgerErrorKind::Corrupt => "is damaged",
            LedgerErrorKind::Full => "is full",
            LedgerErrorKind::Invalid => "does not take this",
            LedgerErrorKind::Unavailable => "is not available",
            LedgerErrorKind::Unknown => "does not know this",
        };
        write!(f, "the ledger {what}: {}", self.source)
    }
}

impl fmt::Debug for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LedgerError({:?}: {:?})", self.kind, self.to_string())
    }
}

impl Error for LedgerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
