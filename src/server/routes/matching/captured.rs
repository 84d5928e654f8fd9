//! Reads what a pattern captures of a path.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::tree::Tree;

/// The captures of a priced rule, read on demand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Captured<'a> {
    tree: &'a Tree,
    pattern: &'a str,
}

impl<'a> Captured<'a> {
    pub(super) const fn new(tree: &'a Tree, pattern: &'a str) -> Self {
        Self { tree, pattern }
    }

    /// Returns names and values in the path that was looked up, decoded as axum decodes them. A
    /// path whose captures are not UTF-8 is never priced.
    pub(crate) fn decoded<'p>(&'p self, path: &'p str) -> Vec<(&'p str, Cow<'p, str>)> {
        let raw = self.tree.captures(self.pattern, path);
        raw.into_iter()
            .map(|(name, value)| (name, percent_decode_str(value).decode_utf8_lossy()))
            .collect()
    }
}

/// The matcher names captures `a` to `z`, and panics if there are more.
pub(super) const MAX_CAPTURES: usize = 24;

/// Returns whether a router could have a route with this pattern.
pub(crate) fn is_pattern(pattern: &str) -> bool {
    pattern.starts_with('/')
        && pattern.matches('{').count() <= MAX_CAPTURES
        && matchit::Router::new().insert(pattern, ()).is_ok()
}

/// Returns what one pattern of the router captures of a path, decoded. Nothing if it does not
/// match.
pub(crate) fn captures(pattern: &str, path: &str) -> Vec<(String, String)> {
    if pattern.matches('{').count() > MAX_CAPTURES {
        return Vec::new();
    }
    let decoded = |(name, value): (&str, &str)| {
        (
            name.to_owned(),
            percent_decode_str(value).decode_utf8_lossy().into_owned(),
        )
    };
    let mut router = matchit::Router::new();
    match router.insert(pattern, ()) {
        Ok(()) => router
            .at(path)
            .map(|found| found.params.iter().map(decoded).collect())
            .unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}
