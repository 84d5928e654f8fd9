//! The list of dialects. To add one, write its folder and list it here.

use http::{HeaderMap, HeaderName};

use super::{Listed, keys::Purpose};

/// All dialects that are compiled in, in the order in which the server asks them.
pub(crate) static DIALECTS: &[Listed] = &[
    #[cfg(feature = "l402")]
    super::l402::LISTED,
    #[cfg(feature = "mpp")]
    super::mpp::LISTED,
    #[cfg(feature = "x402")]
    super::x402::LISTED,
];

/// Whether a request has a field that may hold a credential of any dialect.
pub(crate) fn may_hold_credential(headers: &HeaderMap) -> bool {
    let own = |name: &str| {
        DIALECTS.iter().any(|dialect| {
            let fields = &dialect.fields;
            fields.credentials.contains(&name) || fields.shared.contains(&name)
        })
    };
    headers.keys().any(|name| own(name.as_str()))
}

/// Returns the lines of the fields in which credentials of any dialect stand.
#[cfg(feature = "server")]
pub(crate) fn credential_lines(
    headers: &HeaderMap,
) -> impl Iterator<Item = (&'static str, &http::HeaderValue)> {
    DIALECTS
        .iter()
        .flat_map(|dialect| [dialect.fields.credentials, dialect.fields.shared])
        .flatten()
        .flat_map(|name| headers.get_all(*name).iter().map(|value| (*name, value)))
}

/// Whether a request field holds nothing but credentials of some dialect.
pub(crate) fn is_credential_field(name: &str) -> bool {
    let mut own = DIALECTS
        .iter()
        .flat_map(|dialect| dialect.fields.credentials);
    own.any(|own| name.eq_ignore_ascii_case(own))
}

/// The request fields that clients of all dialects send, without those that they share with
/// others.
pub(crate) fn request_fields() -> impl Iterator<Item = HeaderName> {
    let fields = DIALECTS.iter().flat_map(|dialect| dialect.fields.requests);
    fields.copied().map(HeaderName::from_static)
}

/// The answer fields of all dialects, without those that they share with others.
pub(crate) fn answer_fields() -> impl Iterator<Item = HeaderName> {
    let fields = DIALECTS.iter().flat_map(|dialect| dialect.fields.answers);
    fields.copied().map(HeaderName::from_static)
}

/// What all dialects derive keys for.
pub(crate) fn purposes() -> Vec<Purpose> {
    let purposes = DIALECTS.iter().flat_map(|dialect| dialect.purposes);
    purposes.copied().collect()
}

/// Keys of one secret outside any ring.
#[cfg(test)]
pub(crate) fn keys_of_secret(
    secret: &[u8],
    network: crate::payment::Network,
    origin_and_service: (&str, &str),
    store: &[u8; 16],
) -> super::keys::OriginKeys {
    let purposes = purposes();
    super::keys::OriginKeys::of_secret(secret, &purposes, network, origin_and_service, store)
}
