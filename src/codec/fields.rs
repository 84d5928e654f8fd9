//! Helpers for header fields.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Returns whether the message has any of these fields.
///
/// A message has few names, so comparing all of them is faster than hashing non-standard names.
pub(crate) fn has_any(headers: &HeaderMap, names: &[HeaderName]) -> bool {
    headers.keys().any(|name| names.contains(name))
}

/// Removes the lines that `is_ours` accepts from one header and returns them. The other lines keep
/// their order.
pub(crate) fn take_lines(
    headers: &mut HeaderMap,
    name: &HeaderName,
    is_ours: impl Fn(&HeaderValue) -> bool,
) -> Vec<HeaderValue> {
    if !headers.get_all(name).into_iter().any(&is_ours) {
        return Vec::new();
    }
    let (taken, kept): (Vec<_>, Vec<_>) = headers
        .get_all(name)
        .into_iter()
        .cloned()
        .partition(is_ours);
    headers.remove(name);
    headers.extend(kept.into_iter().map(|line| (name.clone(), line)));
    taken
}
