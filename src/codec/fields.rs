//! Header fields by their names.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Whether any of these fields is there. The few names that a message has are faster to look
/// through than names that are no standard ones are to hash.
pub(crate) fn has_any(headers: &HeaderMap, names: &[HeaderName]) -> bool {
    headers.keys().any(|name| names.contains(name))
}

/// Moves the lines that `is_ours` knows out of one header. The others stay in their order.
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
