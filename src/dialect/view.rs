use http::request::Parts;

use super::keys::OriginKeys;

/// All that a dialect may look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestView<'a> {
    /// The head, as the server got it.
    pub(crate) head: &'a Parts,
    /// The configured public origin that the request was made to, as `https://api.example.com`:
    /// never a requester's word.
    pub(crate) origin: &'a str,
    /// The target as it was asked for: raw path and query, with a leading slash.
    pub(crate) target: &'a str,
    /// Prefix and pattern of the rule that prices this request, as `/v1/weather/{city}`.
    pub(crate) route: &'a str,
    /// The keys of this origin.
    pub(crate) keys: &'a OriginKeys,
    /// SHA-256 of the body, once it is known.
    pub(crate) body_hash: Option<[u8; 32]>,
    /// SHA-256 over all that a price function saw and over bound headers, where the terms have it.
    pub(crate) bound: Option<[u8; 32]>,
}

impl<'a> RequestView<'a> {
    /// Name and port of the origin.
    pub(crate) fn authority(&self) -> &'a str {
        authority(self.origin)
    }
}

/// Name and port of an origin.
pub(crate) fn authority(origin: &str) -> &str {
    origin
        .split_once("://")
        .map_or(origin, |(_, authority)| authority)
}
