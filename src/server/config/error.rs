use std::fmt;

/// A mistake in a paywall, a charge or a route table, found before anything is served. The text
/// names the fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    pub(in crate::server) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(in crate::server) fn at(pattern: &str, text: impl fmt::Display) -> Self {
        Self(format!("{pattern}: {text}"))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}
