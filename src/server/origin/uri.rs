use std::{error::Error, fmt};

use http::{Extensions, Uri, request::Parts, uri::PathAndQuery};

/// What cannot be part of a bound URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetError {
    /// A target that starts with `//`, or is not a path.
    Target,
    /// An `X-Forwarded-Prefix` that is not a path.
    Prefix,
}

/// Returns the URI as the client sent it: axum's `OriginalUri` if there is one, because a nest
/// strips the prefix from the request's own.
pub(crate) fn original_uri<'a>(extensions: &'a Extensions, uri: &'a Uri) -> &'a Uri {
    #[cfg(feature = "axum")]
    if let Some(axum::extract::OriginalUri(original)) = extensions.get() {
        return original;
    }
    let _ = extensions;
    uri
}

/// Returns the raw path and query as the client sent them, with a leading slash. They are bound
/// after the configured origin.
pub(crate) fn raw_target(head: &Parts) -> Result<PathAndQuery, TargetError> {
    target_of(original_uri(&head.extensions, &head.uri))
}

pub(super) fn target_of(uri: &Uri) -> Result<PathAndQuery, TargetError> {
    match (
        uri.path_and_query(),
        uri.path_and_query().map_or("", PathAndQuery::as_str),
    ) {
        // An absolute URI without a path.
        (_, "") if uri.scheme().is_some() => Ok(PathAndQuery::from_static("/")),
        (_, query) if query.starts_with('?') => {
            PathAndQuery::try_from(format!("/{query}")).map_err(|_| TargetError::Target)
        }
        (Some(target), text) if text.starts_with('/') && !text.starts_with("//") => {
            Ok(target.clone())
        }
        _ => Err(TargetError::Target),
    }
}

/// Returns what reusable access is bound to: the nest's prefix (the original path without the inner
/// one) and the pattern of the rule. `None` if that is the pattern alone.
///
/// If a layer in between rewrote the path, the prefix is unknown. Then the whole original path
/// stands for it, which is narrower than any prefix.
pub(crate) fn route(head: &Parts, pattern: &str) -> Option<String> {
    let original = original_uri(&head.extensions, &head.uri);
    if std::ptr::eq(original, &head.uri) {
        return None;
    }
    let (original, inner) = (original.path(), head.uri.path());
    match original.strip_suffix(inner) {
        Some("") => None,
        Some(prefix) => Some(format!("{prefix}{pattern}")),
        // axum serves the nest's own path as `/`.
        None => Some(format!("{original}{pattern}")),
    }
}

/// Returns the route's pattern from axum's `MatchedPath`, if there is one.
pub(crate) fn matched_path(extensions: &Extensions) -> Option<&str> {
    #[cfg(feature = "axum")]
    if let Some(path) = extensions.get::<axum::extract::MatchedPath>() {
        return Some(path.as_str());
    }
    let _ = extensions;
    None
}

/// Whether a layer between an outer router and this one rewrote the path, and not only stripped a
/// prefix. Then what is priced is not what is bound.
pub(crate) fn is_rewritten(original: &str, inner: &str) -> bool {
    // axum serves the nest's own path as `/`.
    !original.ends_with(inner) && inner != "/"
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Target => "expected a target that starts with one slash",
            Self::Prefix => "expected x-forwarded-prefix to be a path such as `/v1`",
        })
    }
}

impl Error for TargetError {}
