use std::{borrow::Cow, error::Error, fmt};

use http::{Uri, request::Parts};

/// A target that cannot be bound to a URL: it starts with `//`, or is no path at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TargetError;

/// The URI as it was asked for: axum's `OriginalUri` where there is one, because inside a nest the plain one lacks the prefix.
pub(crate) fn original_uri(head: &Parts) -> &Uri {
    #[cfg(feature = "axum")]
    if let Some(axum::extract::OriginalUri(uri)) = head.extensions.get() {
        return uri;
    }
    &head.uri
}

/// Raw path and query as they were asked for, with a leading slash: what is bound after the configured origin.
pub(crate) fn raw_target(uri: &Uri) -> Result<Cow<'_, str>, TargetError> {
    match uri.path_and_query().map_or("", |target| target.as_str()) {
        // Of an absolute form without a path.
        "" if uri.scheme().is_some() => Ok(Cow::Borrowed("/")),
        query if query.starts_with('?') => Ok(Cow::Owned(format!("/{query}"))),
        target if target.starts_with('/') && !target.starts_with("//") => Ok(Cow::Borrowed(target)),
        _ => Err(TargetError),
    }
}

/// What reusable access is bound to: the nest's prefix (the original path less the inner one) and the pattern of the rule.
///
/// Where a layer between rewrote the path there is no prefix to tell: the whole original path stands for it, which is
/// narrower than any prefix.
pub(crate) fn route(head: &Parts, pattern: &str) -> String {
    let (original, inner) = (original_uri(head).path(), head.uri.path());
    let prefix = match original.strip_suffix(inner) {
        Some(prefix) => prefix,
        // axum serves the nest's own path as `/`.
        None => original,
    };
    format!("{prefix}{pattern}")
}

/// The pattern that a charge without a table stands at: axum's `MatchedPath`, or else the path itself.
pub(crate) fn matched_path(head: &Parts) -> &str {
    #[cfg(feature = "axum")]
    if let Some(path) = head.extensions.get::<axum::extract::MatchedPath>() {
        return path.as_str();
    }
    original_uri(head).path()
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a target that starts with one slash")
    }
}

impl Error for TargetError {}
