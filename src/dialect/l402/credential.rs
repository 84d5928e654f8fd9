use std::fmt;

use http::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

use super::{
    authorization::{MAX_PER_REQUEST, Part, presented},
    caveat::split,
    macaroon::{Macaroon, MacaroonError},
    reason::Reason,
    scheme::Scheme,
};
use crate::{
    codec::{base64, hex},
    payment::{Preimage, Refusal},
};

/// A macaroon and the preimage of its payment: what a client sends after paying.
///
/// ```
/// use http::{HeaderMap, header::AUTHORIZATION};
/// use tower_x402::{Preimage, l402::{Credential, Macaroon, Scheme}};
///
/// let macaroon = Macaroon::mint([1; 32], [0; 66], ["method=GET"])?;
/// let credential = Credential::new(macaroon, Preimage::from_bytes([7; 32]));
///
/// let mut headers = HeaderMap::new();
/// headers.append(AUTHORIZATION, credential.header_value(Scheme::L402));
/// let read = Credential::in_headers(&headers).next().unwrap()?;
/// assert_eq!(read.macaroon().to_bytes(), credential.macaroon().to_bytes());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Credential {
    macaroon: Macaroon,
    preimage: Preimage,
}

impl Credential {
    /// The most credentials that one request may hold.
    pub const MAX_PER_REQUEST: usize = MAX_PER_REQUEST;

    /// Creates a credential from its two parts.
    #[must_use]
    pub const fn new(macaroon: Macaroon, preimage: Preimage) -> Self {
        Self { macaroon, preimage }
    }

    /// Reads every credential in a request's headers, in their order: `L402` and `LSAT` in
    /// `Authorization` lines, and if there are none, gRPC metadata (`macaroon`,
    /// `grpc-metadata-macaroon`: a macaroon in hex with a `preimage=` caveat). Other schemes are
    /// skipped, and so are macaroons in metadata whose identifier is not one of this protocol.
    /// Nothing is verified.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with the code `malformed` or `third_party_caveat`, in the place of a
    /// credential that cannot be read. If there are more than
    /// [`MAX_PER_REQUEST`](Self::MAX_PER_REQUEST), a single refusal stands for all.
    pub fn in_headers(headers: &HeaderMap) -> impl Iterator<Item = Result<Self, Refusal>> {
        presented(headers).map(|part| Self::read(part).map_err(Refusal::from))
    }

    /// Returns the value of an `Authorization` header, marked as sensitive.
    #[must_use]
    pub fn header_value(&self, scheme: Scheme) -> HeaderValue {
        authorization(
            scheme,
            &base64::encode_standard(self.macaroon.to_bytes()),
            &self.preimage,
        )
    }

    /// Returns the macaroon.
    #[must_use]
    pub const fn macaroon(&self) -> &Macaroon {
        &self.macaroon
    }

    /// Returns the preimage.
    #[must_use]
    pub const fn preimage(&self) -> &Preimage {
        &self.preimage
    }

    pub(super) fn into_parts(self) -> (Macaroon, Preimage) {
        (self.macaroon, self.preimage)
    }

    #[inline]
    pub(super) fn read(part: Part<'_>) -> Result<Self, Reason> {
        match part {
            Part::Authorization(text) => Self::from_authorization(text),
            Part::Metadata(text) => Self::from_metadata(text),
            Part::TooMany => Err(Reason::Malformed),
        }
    }

    /// Reads `macaroon:preimage`, with the macaroon in any of base64's four forms.
    #[inline]
    fn from_authorization(text: &[u8]) -> Result<Self, Reason> {
        let colon = text.len().checked_sub(65).ok_or(Reason::Malformed)?;
        let (macaroon, preimage) = text.split_at(colon);
        let preimage = preimage
            .strip_prefix(b":")
            .and_then(hex::decode_any_case)
            .ok_or(Reason::Malformed)?;
        if macaroon.len() > MAX_TEXT {
            return Err(Reason::Malformed);
        }
        let macaroon = base64::decode_any(macaroon).ok_or(Reason::Malformed)?;
        Ok(Self {
            macaroon: Macaroon::parse(macaroon).map_err(in_header)?,
            preimage: Preimage::from_bytes(preimage),
        })
    }

    /// Reads a macaroon in hex that carries its preimage in a caveat.
    fn from_metadata(text: &[u8]) -> Result<Self, Reason> {
        if text.len() > 2 * Macaroon::MAX_BYTES {
            return Err(Reason::Malformed);
        }
        let macaroon =
            Macaroon::parse(hex::decode_vec(text).ok_or(Reason::Malformed)?).map_err(in_header)?;
        let preimage = macaroon
            .caveats()
            .filter_map(split)
            .find(|(name, _)| *name == b"preimage");
        let preimage = preimage
            .and_then(|(_, value)| hex::decode_any_case(value))
            .ok_or(Reason::Malformed)?;
        Ok(Self {
            macaroon,
            preimage: Preimage::from_bytes(preimage),
        })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("macaroon", &self.macaroon)
            .finish_non_exhaustive()
    }
}

/// Returns the header value for a token, written as the server wrote it.
pub(super) fn authorization(scheme: Scheme, token: &str, preimage: &Preimage) -> HeaderValue {
    let text = Zeroizing::new(format!(
        "{} {token}:{}",
        scheme.as_str(),
        *Zeroizing::new(preimage.expose_hex())
    ));
    let mut value = HeaderValue::from_str(&text)
        .unwrap_or_else(|_| unreachable!("base64 and hex are visible ASCII"));
    value.set_sensitive(true);
    value
}

fn in_header(error: MacaroonError) -> Reason {
    match error {
        MacaroonError::ThirdParty => Reason::ThirdPartyCaveat,
        MacaroonError::Malformed | MacaroonError::TooLong | MacaroonError::TooManyCaveats => {
            Reason::Malformed
        }
    }
}

/// The length of the longest macaroon in base64.
const MAX_TEXT: usize = Macaroon::MAX_BYTES.div_ceil(3) * 4;
