use std::{error::Error, fmt};

use crate::boxed::BoxError;

/// A store could not answer. Nothing is served on its account.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    store: &'static str,
    source: BoxError,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// What the store holds is damaged or older than what it acknowledged: it was not opened.
    Corrupt,
    /// There is no room for another key.
    Full,
    /// It takes nothing now, and took nothing: there is nothing to release.
    Refused,
    /// It cannot be reached, or cannot write.
    Unavailable,
}

impl StoreError {
    /// An error of the store that is called `store`.
    pub fn new(kind: StoreErrorKind, store: &'static str, source: impl Into<BoxError>) -> Self {
        Self {
            kind,
            store,
            source: source.into(),
        }
    }

    /// What kind of failure it was.
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
