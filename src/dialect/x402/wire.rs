//! What the three headers have in common: their encoding, and the terms that each side names.

use http::HeaderValue;

use super::Reason;
use crate::codec::{
    base64,
    json::{self, Json, Object},
};

/// Longer than any header that an honest party sends.
pub(super) const MAX_HEADER: usize = 64 * 1024;

/// Returns the JSON text in a header of x402 version 2: standard base64 with padding, at most 64
/// KiB.
///
/// `None` for anything else, including the URL-safe alphabet and missing padding.
#[must_use]
pub fn decode_header(value: &[u8]) -> Option<String> {
    (value.len() <= MAX_HEADER).then_some(())?;
    String::from_utf8(base64::decode_standard(value)?).ok()
}

/// Returns a header value from its JSON text.
pub(super) fn encode_header(json: impl AsRef<[u8]>) -> Option<HeaderValue> {
    HeaderValue::try_from(base64::encode_standard(json)).ok()
}

/// The terms of one way to pay: the object `PaymentRequirements` ([x402](super), "PaymentRequired
/// Schema"). The members are kept as they were sent, whatever their types. The checks read them.
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentRequirements<'a>(Object<'a>);

impl<'a> PaymentRequirements<'a> {
    /// Reads the object from its JSON text.
    ///
    /// # Errors
    ///
    /// [`Reason::InvalidPaymentRequirements`] if the text is not a JSON object or repeats a member.
    pub fn from_json(text: &'a str) -> Result<Self, Reason> {
        json::parse(text)
            .ok()
            .and_then(Self::of)
            .ok_or(Reason::InvalidPaymentRequirements)
    }

    /// Returns the scheme, if it is a string.
    #[must_use]
    pub fn scheme(&self) -> Option<&str> {
        self.member("scheme")?.as_str()
    }

    /// Returns the CAIP-2 network, if it is a string.
    #[must_use]
    pub fn network(&self) -> Option<&str> {
        self.member("network")?.as_str()
    }

    pub(crate) fn of(value: Json<'a>) -> Option<Self> {
        value.into_object().map(Self)
    }

    pub(super) fn into_owned(self) -> PaymentRequirements<'static> {
        PaymentRequirements(self.0.into_owned())
    }

    pub(super) fn member(&self, name: &str) -> Option<&Json<'a>> {
        self.0.get(name)
    }

    /// Returns the members of `extra`: none if it is not an object.
    pub(super) fn extra(&self) -> &Object<'a> {
        static NONE: Object<'static> = Object::empty();
        self.member("extra")
            .and_then(Json::as_object)
            .unwrap_or(&NONE)
    }
}

impl<'a> FromIterator<(&'a str, Json<'a>)> for PaymentRequirements<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, Json<'a>)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

impl serde::Serialize for PaymentRequirements<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_standard_base64_with_padding_and_nothing_else() {
        assert_eq!(decode_header(b"e30=").as_deref(), Some("{}"));
        assert_eq!(
            decode_header(b"eyLDvyI6MX0=").as_deref(),
            Some("{\"\u{ff}\":1}")
        );
        for bad in ["e30", "e30==", "e3A_", " e30=", "e30=\n", "e31="] {
            assert_eq!(decode_header(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(decode_header(&[b'A'; MAX_HEADER + 4]), None);
    }
}
