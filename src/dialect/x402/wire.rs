//! What the three headers have in common: their text, and the terms that each side names.

use http::HeaderValue;

use super::Reason;
use crate::codec::{
    base64,
    json::{self, Json, Object},
};

/// No header of this protocol that an honest party sends comes near this.
pub(super) const MAX_HEADER: usize = 64 * 1024;

/// The JSON text in a header of x402 version 2: standard base64 with padding, at most 64 KiB.
///
/// `None` for anything else, the URL-safe alphabet and missing padding included.
#[must_use]
pub fn decode_header(value: &[u8]) -> Option<String> {
    (value.len() <= MAX_HEADER).then_some(())?;
    String::from_utf8(base64::decode_standard(value)?).ok()
}

/// A header of x402 version 2 from its JSON text.
pub(super) fn encode_header(json: impl AsRef<[u8]>) -> Option<HeaderValue> {
    HeaderValue::try_from(base64::encode_standard(json)).ok()
}

/// `PaymentRequirements`: the terms of one way to pay (x402 v2, section 5.1). The members are held
/// as they were sent, whatever their types; the checks read them.
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentRequirements<'a>(Object<'a>);

impl<'a> PaymentRequirements<'a> {
    /// Reads the object from its JSON text.
    ///
    /// # Errors
    ///
    /// [`Reason::InvalidPaymentRequirements`] for a text that is no JSON object or repeats a
    /// member.
    pub fn from_json(text: &'a str) -> Result<Self, Reason> {
        json::parse(text)
            .ok()
            .and_then(Self::of)
            .ok_or(Reason::InvalidPaymentRequirements)
    }

    /// The scheme, where it is a text.
    #[must_use]
    pub fn scheme(&self) -> Option<&str> {
        self.member("scheme")?.as_str()
    }

    /// The CAIP-2 network, where it is a text.
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

    /// The members of `extra`; none where it is no object.
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
