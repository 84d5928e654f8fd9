//! `Authorization: Payment` and `Payment-Authorization: Payment`, in both directions
//! ([`Payment`](super), "Payment Credentials").

use std::{borrow::Cow, fmt};

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    challenge::{Challenge, SCHEME},
    wire::{self, Payload, object, optional},
};
use crate::{
    codec::{
        auth_param::{
            after_scheme, folded_credentials, may_be_folded, remove_credentials, take_credentials,
        },
        base64,
        fields::has_any,
    },
    dialect::HeaderLine,
    payment::Preimage,
};

/// The request header that carries the credential if the challenge names it.
pub const PAYMENT_AUTHORIZATION: HeaderName = HeaderName::from_static("payment-authorization");

/// The only value of the parameter `header`.
pub(super) const HEADER: &str = "Payment-Authorization";

/// The longest credential, in base64url.
const MAX_TEXT: usize = 64 * 1024;

/// The longest header value that a server of this crate reads.
pub(super) const MAX_VALUE: usize = SCHEME.len() + 1 + MAX_TEXT;

/// The JSON of a credential, decoded from base64url. It is not wiped when dropped: the request
/// holds the same text.
pub struct CredentialText(Vec<u8>);

impl CredentialText {
    /// Decodes a header value `Payment <base64url>`, padded or not. `None` if it is something else,
    /// or longer than 64 KiB.
    #[must_use]
    pub fn decode(value: &[u8]) -> Option<Self> {
        Self::decode_token(after_scheme(value, SCHEME)?)
    }

    fn decode_token(token: &[u8]) -> Option<Self> {
        let sized = !token.is_empty() && token.len() <= MAX_TEXT;
        sized.then(|| base64::decode_url(token).map(Self))?
    }

    /// Reads the credential. `None` if it lacks a required member or repeats one.
    #[must_use]
    pub fn read(&self) -> Option<Credential<'_>> {
        wire::from_json(&self.0)
    }
}

/// A charge credential, not yet checked: the echoed challenge, and the proof of payment.
#[derive(Deserialize, Serialize)]
#[non_exhaustive]
pub struct Credential<'a> {
    /// The echo of the challenge that was paid.
    #[serde(borrow, deserialize_with = "object")]
    pub challenge: Challenge<'a>,
    #[serde(borrow, deserialize_with = "object")]
    payload: Payload<'a>,
    /// Who paid, as a DID. Optional, and ignored by this server.
    #[serde(
        borrow,
        default,
        deserialize_with = "optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub source: Option<Cow<'a, str>>,
}

impl<'a> Credential<'a> {
    /// Creates the credential for a challenge whose invoice was paid.
    #[must_use]
    pub fn new(challenge: Challenge<'a>, preimage: &Preimage) -> Self {
        Self {
            challenge,
            payload: Payload {
                preimage: preimage.expose_hex().into(),
            },
            source: None,
        }
    }

    /// Returns the preimage. `None` if it is not 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn preimage(&self) -> Option<Preimage> {
        crate::codec::hex::decode_lower(self.payload.preimage.as_bytes()).map(Preimage::from_bytes)
    }

    /// Returns the credential as a header value, marked as sensitive: canonical JSON in base64url
    /// without padding.
    #[must_use]
    pub fn to_header_value(&self) -> Option<HeaderValue> {
        let json = Zeroizing::new(serde_json::to_vec(self).ok()?);
        let mut value =
            HeaderValue::try_from(format!("{SCHEME} {}", base64::encode_url(&*json))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Returns the name of the header that must carry the credential, as the challenge says.
    #[must_use]
    pub fn header_name(&self) -> HeaderName {
        header_name(&self.challenge)
    }
}

/// Returns the name of the request header that must carry the credential for a challenge.
pub(super) const fn header_name(challenge: &Challenge<'_>) -> HeaderName {
    if challenge.header.is_some() {
        PAYMENT_AUTHORIZATION
    } else {
        AUTHORIZATION
    }
}

impl fmt::Debug for CredentialText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialText(..)")
    }
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}

/// What the lines of one header hold of this scheme.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    /// `None` if it cannot be decoded.
    One(Option<CredentialText>),
    Several,
}

/// Looks for `Payment` credentials in the lines of one header, also in folded ones.
pub(super) fn find(headers: &HeaderMap, name: &HeaderName) -> Found {
    let mut lines = headers.get_all(name).into_iter();
    if let (Some(line), None) = (lines.next(), lines.next()) {
        let line = line.as_bytes().trim_ascii();
        let token = after_scheme(line, SCHEME);
        // If the whole line decodes, nothing is folded onto it.
        if let Some(text) = token.and_then(CredentialText::decode_token) {
            return Found::One(Some(text));
        }
        if token.is_none() && !may_be_folded(line) {
            return Found::Nothing;
        }
    }
    let mut tokens = tokens(headers, name);
    match (tokens.next(), tokens.next()) {
        (None, _) => Found::Nothing,
        (Some(token), None) => Found::One(CredentialText::decode_token(token)),
        (Some(_), Some(_)) => Found::Several,
    }
}

/// Returns what follows the scheme in each `Payment` credential.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let credentials = headers
        .get_all(name)
        .into_iter()
        .flat_map(|line| folded_credentials(line.as_bytes()));
    credentials.filter_map(|credential| after_scheme(credential, SCHEME))
}

/// Moves the `Payment` credentials that `is_own` accepts out of one header.
pub(super) fn take(
    headers: &mut HeaderMap,
    name: &HeaderName,
    is_own: impl Fn(&Credential<'_>) -> bool,
) -> Vec<HeaderLine> {
    let own = |credential: &[u8]| {
        let text = CredentialText::decode(credential);
        text.as_ref()
            .and_then(CredentialText::read)
            .is_some_and(|credential| is_own(&credential))
    };
    take_credentials(headers, name, own)
        .into_iter()
        .map(|line| (name.clone(), line))
        .collect()
}

/// Removes the `Payment` credentials from one header. Others stay as they are.
pub(super) fn strip(headers: &mut HeaderMap, name: &HeaderName) {
    if has_any(headers, std::slice::from_ref(name)) {
        remove_credentials(headers, name, |credential| {
            after_scheme(credential, SCHEME).is_some()
        });
    }
}
