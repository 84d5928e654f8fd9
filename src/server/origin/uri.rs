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

/// Returns the prefix of the nest that a request came through: the original path less the inner one.
/// Empty outside of a nest.
///
/// If a layer between rewrote the path, no prefix is known. The whole original path stands
/// for it, which is narrower than any prefix.
pub(crate) fn prefix(head: &Parts) -> &str {
    let (original, inner) = (
        original_uri(&head.extensions, &head.uri).path(),
        head.uri.path(),
    );
    // axum serves the nest's own path as `/`.
    original.strip_suffix(inner).unwrap_or(original)
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
