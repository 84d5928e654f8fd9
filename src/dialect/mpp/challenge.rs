//! `WWW-Authenticate: Payment`, in both directions ([`Payment`](super), "The 402 Challenge").

use std::{borrow::Cow, fmt};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::wire::optional;
use crate::codec::{
    auth_param::{self, AuthChallenge},
    base64,
};

/// The authentication scheme.
pub(super) const SCHEME: &str = "Payment";

/// The only supported method.
pub(super) const METHOD: &str = "lightning";

/// The only supported intent.
pub(super) const CHARGE: &str = "charge";

const MAX_LINES: usize = 64;
const MAX_CHALLENGES: usize = 64;

/// One way to pay that a server offers: the parameters of one challenge, as a response carries them
/// and as a credential echoes them. They are not checked: see
/// [`Payable::check`](super::Payable::check).
///
/// `request` and `opaque` stay encoded, because the id covers their encoded text.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Challenge<'a> {
    /// What is sold, for people. The id does not cover it.
    #[serde(
        borrow,
        default,
        deserialize_with = "optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub description: Option<Cow<'a, str>>,
    /// The digest of the request's body.
    #[serde(
        borrow,
        default,
        deserialize_with = "optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub digest: Option<Cow<'a, str>>,
    /// Until when the challenge can be paid, in RFC 3339.
    #[serde(
        borrow,
        default,
        deserialize_with = "optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<Cow<'a, str>>,
    /// The request header that must carry the credential, if it is not `Authorization`.
    #[serde(
        borrow,
        default,
        deserialize_with = "optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub header: Option<Cow<'a, str>>,
    /// The id, which binds all of these together.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// The intent: `charge`.
    #[serde(borrow)]
    pub intent: Cow<'a, str>,
    /// The payment method: `lightning`.
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    /// Data that the client must echo, and that only the server reads.
    #[serde(
        borrow,
        default,
        deserialize_with = "optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub opaque: Option<Cow<'a, str>>,
    /// The protection space: the authority that asks for payment.
    #[serde(borrow)]
    pub realm: Cow<'a, str>,
    /// What to pay: base64url of JSON.
    #[serde(borrow)]
    pub request: Cow<'a, str>,
}

impl Challenge<'static> {
    /// Reads the `Payment` challenges in a response's `WWW-Authenticate` lines, in their order: at
    /// most 64 lines of 64 KiB, and at most 64 challenges.
    ///
    /// Challenges of other schemes may stand on the same line. A line or challenge that is
    /// unreadable or incomplete is skipped.
    #[must_use]
    pub fn in_headers(headers: &HeaderMap) -> Vec<Self> {
        let lines = headers
            .get_all(WWW_AUTHENTICATE)
            .into_iter()
            .take(MAX_LINES);
        lines
            .flat_map(|line| Challenge::parse_line(line.as_bytes()))
            .take(MAX_CHALLENGES)
            .map(Challenge::into_owned)
            .collect()
    }
}

impl<'a> Challenge<'a> {
    /// Reads the `Payment` challenges of one line. What is unreadable or incomplete is skipped.
    #[must_use]
    pub fn parse_line(line: &'a [u8]) -> Vec<Self> {
        let list = AuthChallenge::parse_list(line).unwrap_or_default();
        list.iter()
            .filter(|challenge| challenge.is(SCHEME))
            .filter_map(Self::read)
            .collect()
    }

    fn read(read: &AuthChallenge<'a>) -> Option<Self> {
        let optional = |name| read.param(name).cloned();
        let required = |name| optional(name).filter(|value| !value.is_empty());
        Some(Self {
            description: optional("description"),
            digest: optional("digest"),
            expires: optional("expires"),
            header: optional("header"),
            id: required("id")?,
            intent: required("intent")?,
            method: required("method")
                .filter(|method| !method.bytes().any(|byte| byte.is_ascii_uppercase()))?,
            opaque: optional("opaque"),
            realm: optional("realm")?,
            request: required("request")?,
        })
    }

    /// Returns the same challenge with copies of everything that it borrows.
    #[must_use]
    pub fn into_owned(self) -> Challenge<'static> {
        let text = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Challenge {
            description: self.description.map(text),
            digest: self.digest.map(text),
            expires: self.expires.map(text),
            header: self.header.map(text),
            id: text(self.id),
            intent: text(self.intent),
            method: text(self.method),
            opaque: self.opaque.map(text),
            realm: text(self.realm),
            request: text(self.request),
        }
    }

    /// Returns the challenge as one header line. `None` if a parameter has a control character.
    #[must_use]
    pub fn to_header_value(&self) -> Option<HeaderValue> {
        let params = [
            ("id", Some(&*self.id)),
            ("realm", Some(&*self.realm)),
            ("method", Some(&*self.method)),
            ("intent", Some(&*self.intent)),
            ("request", Some(&*self.request)),
            ("expires", self.expires.as_deref()),
            ("digest", self.digest.as_deref()),
            ("description", self.description.as_deref()),
            ("header", self.header.as_deref()),
            ("opaque", self.opaque.as_deref()),
        ];
        auth_param::write(
            SCHEME,
            params
                .iter()
                .filter_map(|(name, value)| Some((*name, (*value)?))),
        )
    }

    /// Returns the text that the id is the MAC of:
    /// `realm|method|intent|request|expires|digest|opaque`. A missing part is empty. If the
    /// challenge has a `header`, it is inserted before `opaque`, as deployed servers do. If it has
    /// none, there is no empty slot for it.
    #[must_use]
    pub fn id_input(&self) -> String {
        let [expires, digest, opaque] =
            [&self.expires, &self.digest, &self.opaque].map(|slot| slot.as_deref().unwrap_or(""));
        let mut input = String::with_capacity(256 + self.request.len() + opaque.len());
        for slot in [
            &*self.realm,
            &self.method,
            &self.intent,
            &self.request,
            expires,
            digest,
        ] {
            input.push_str(slot);
            input.push('|');
        }
        if let Some(header) = &self.header {
            input.push_str(header);
            input.push('|');
        }
        input.push_str(opaque);
        input
    }

    /// Returns the id of these parameters under a key of any length. The slots are joined without
    /// escaping, so a server must not mint a slot with `|` in it.
    #[must_use]
    pub fn id_under(&self, key: &[u8]) -> String {
        let mut hmac = Hmac::<Sha256>::new_from_slice(key)
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        hmac.update(self.id_input().as_bytes());
        base64::encode_url(hmac.finalize().into_bytes())
    }
}

impl fmt::Debug for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, intent) = (&self.method, &self.intent);
        write!(
            f,
            "Challenge({} {method}/{intent} of {:?})",
            self.id, self.realm
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge() -> Challenge<'static> {
        Challenge {
            description: None,
            digest: None,
            expires: None,
            header: None,
            id: "i".into(),
            intent: CHARGE.into(),
            method: METHOD.into(),
            opaque: None,
            realm: "r".into(),
            request: "cQ".into(),
        }
    }

    #[test]
    fn an_id_over_a_header_differs_from_one_without() {
        let mut challenge = challenge();
        assert_eq!(challenge.id_input(), "r|lightning|charge|cQ|||");
        challenge.opaque = Some("o".into());
        let seven = challenge.id_under(b"k");
        challenge.header = Some(Cow::Borrowed(""));
        assert_eq!(challenge.id_input(), "r|lightning|charge|cQ||||o");
        assert_ne!(challenge.id_under(b"k"), seven);
        challenge.header = Some("Payment-Authorization".into());
        assert_eq!(
            challenge.id_input(),
            "r|lightning|charge|cQ|||Payment-Authorization|o"
        );
    }

    #[test]
    fn the_lines_of_a_response_are_read_one_by_one() {
        let mut headers = HeaderMap::new();
        for line in [
            "L402 macaroon=\"AgEE\", invoice=\"lnbc1\"",
            "Payment id=\"1\", realm=\"\", method=\"lightning\", intent=\"charge\", request=\"cQ\", more=\"x\"",
            "Payment id=\"unclosed",
            "LSAT macaroon=\"AgEE\", invoice=\"lnbc1\", Payment id=\"2\", realm=\"r\", method=\"tempo\", intent=\"charge\", \
             description=\"a \\\"b\\\", Payment id=c\", request=\"cQ\"",
            "Payment id=\"3\", realm=\"r\", method=\"Lightning\", intent=\"charge\", request=\"cQ\"",
            "Payment id=\"\", realm=\"r\", method=\"lightning\", intent=\"charge\", request=\"cQ\"",
        ] {
            headers.append(WWW_AUTHENTICATE, line.parse().unwrap());
        }
        let all = Challenge::in_headers(&headers);
        assert_eq!(
            all.iter()
                .map(|challenge| &*challenge.id)
                .collect::<Vec<_>>(),
            ["1", "2"]
        );
        assert_eq!(all[1].description.as_deref(), Some("a \"b\", Payment id=c"));
        assert_eq!(
            Challenge::parse_line(all[1].to_header_value().unwrap().as_bytes()),
            all[1..]
        );
    }

    #[test]
    fn a_control_character_is_not_written() {
        assert!(
            Challenge {
                description: Some("a\nb".into()),
                ..challenge()
            }
            .to_header_value()
            .is_none()
        );
    }
}
