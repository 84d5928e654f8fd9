//! Header fields by their names.

use http::{HeaderMap, HeaderName};

/// Whether any of these fields is there. The few names that a message has are faster to look through than names that are no
/// standard ones are to hash.
pub fn has_any(headers: &HeaderMap, names: &[HeaderName]) -> bool {
    headers.keys().any(|name| names.contains(name))
}
