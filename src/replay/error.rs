use std::{error::Error, fmt};

use crate::boxed::BoxError;

/// An error of a store. A request that needs the store is then not served.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    store: &'static str,
    source: BoxError,
}

/// The kind of a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store's data is damaged, or older than what it acknowledged. It was not opened, or it must
    /// not be used any more.
    Corrupt,
    /// The store has no room for another key or record.
    Full,
    /// The store accepts nothing at the moment, and did not take this use: there is nothing to
    /// release.
    Refused,
    /// The store was not opened: its URL or the configuration of its server is wrong.
    Setup,
    /// The store cannot be reached, or cannot write.
    Unavailable,
}

impl StoreError {
    /// Creates an error. `store` names the store in texts, for example "the memory store".
    pub fn new(kind: StoreErrorKind, store: &'static str, source: impl Into<BoxError>) -> Self {
        Self {
            kind,
            store,
            source: source.into(),
        }
    }

    /// Returns the same error for another caller.
    #[cfg(any(feature = "replay-postgres", feature = "replay-redis"))]
    pub(super) fn again(&self) -> Self {
        Self::new(self.kind, self.store, self.source.to_string())
    }

    /// Returns the same error with what it is about before its text.
    #[cfg(feature = "replay-redis")]
    pub(super) fn at(&self, place: &impl fmt::Display) -> Self {
        Self::new(self.kind, self.store, format!("{place}: {}", self.source))
    }

    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            StoreErrorKind::Corrupt => "is damaged",
            StoreErrorKind::Full => "is full",
            StoreErrorKind::Setup => "is not set up",
            StoreErrorKind::Refused | StoreErrorKind::Unavailable => "is not available",
        };
        write!(f, "{} {what}: {}", self.store, self.source)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_store_and_its_cause() {
        let error = StoreError::new(StoreErrorKind::Full, "the test's store", "no room");
        assert_eq!(error.to_string(), "the test's store is full: no room");
        assert_eq!(
            error.source().map(ToString::to_string).as_deref(),
            Some("no room")
        );
    }
}
