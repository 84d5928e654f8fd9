use std::fmt;

use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};

use super::{credential::authorization, macaroon::Macaroon, scheme::Scheme};
use crate::{
    codec::base64,
    payment::{Invoice, Preimage},
};

/// One way to pay that a server offers: a token and an invoice, not yet checked. See
/// [`Payable::check`](super::Payable::check). The invoice's preimage turns the token into a
/// credential.
///
/// It is written in the one form that every released client reads: `L402 macaroon="..",
/// invoice=".."`. It is read in all forms that released servers write: any case of the scheme,
/// values quoted or not, any order, `token` for `macaroon`, further parameters, a missing comma,
/// several challenges folded into one line.
#[derive(Clone)]
pub struct Challenge {
    scheme: Scheme,
    token: String,
    invoice: String,
}

impl Challenge {
    /// The most challenges that are read from one response.
    pub const MAX_PER_RESPONSE: usize = 16;

    /// Creates a challenge from this macaroon and this invoice.
    #[must_use]
    pub fn new(scheme: Scheme, macaroon: &Macaroon, invoice: &Invoice) -> Self {
        Self {
            scheme,
            token: base64::encode_standard(macaroon.to_bytes()),
            invoice: invoice.as_str().to_owned(),
        }
    }

    /// Reads the challenges in a response's `WWW-Authenticate` lines, in their order: at most 16
    /// lines of 64 KiB, and at most [`MAX_PER_RESPONSE`](Self::MAX_PER_RESPONSE) challenges. What
    /// cannot be read is skipped.
    #[must_use]
    pub fn in_headers(headers: &HeaderMap) -> Vec<Self> {
        let lines = headers
            .get_all(WWW_AUTHENTICATE)
            .into_iter()
            .take(Self::MAX_PER_RESPONSE);
        let lines = lines
            .filter_map(|line| str::from_utf8(line.as_bytes()).ok())
            .filter(|line| line.len() <= MAX_LINE);
        lines
            .flat_map(read_line)
            .take(Self::MAX_PER_RESPONSE)
            .collect()
    }

    /// Reads the three parts of a challenge that was stored.
    pub(super) fn read(scheme: &str, token: &str, invoice: &str) -> Option<Self> {
        Self::of(Scheme::parse(scheme)?, token.to_owned(), invoice.to_owned())
    }

    /// Returns `None` if a part is too long, or has a byte that a header cannot carry.
    fn of(scheme: Scheme, token: String, invoice: String) -> Option<Self> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_.~=".contains(&byte);
        let is_sound = (1..=MAX_TOKEN).contains(&token.len())
            && token.bytes().all(is_token)
            && (1..=MAX_INVOICE).contains(&invoice.len())
            && invoice.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_sound.then_some(Self {
            scheme,
            token,
            invoice,
        })
    }

    /// Returns the same macaroon and invoice under another scheme.
    #[must_use]
    pub fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// Returns the value of a `WWW-Authenticate` header, marked as sensitive because it holds a
    /// token.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        header_value(self.scheme, &self.token, &self.invoice)
    }

    /// Returns the value of the `Authorization` header for this challenge, marked as sensitive: the
    /// server's scheme, its token exactly as the server wrote it, and the preimage. Nothing is
    /// checked: [`Payable::credential`](super::Payable::credential) does.
    #[must_use]
    pub fn answer(&self, preimage: &Preimage) -> HeaderValue {
        authorization(self.scheme, &self.token, preimage)
    }

    /// Returns the scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the token as the server wrote it: base64 of a macaroon with most servers.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Returns the token as a macaroon, if it is one in the binary format of version 2.
    #[must_use]
    pub fn macaroon(&self) -> Option<Macaroon> {
        Macaroon::parse(base64::decode_any(&self.token)?).ok()
    }

    /// Returns the invoice's text, to be read with [`Invoice::parse`].
    #[must_use]
    pub fn invoice(&self) -> &str {
        &self.invoice
    }
}

/// Hides the token.
impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scheme, invoice, ..
        } = self;
        f.debug_struct("Challenge")
            .field("scheme", scheme)
            .field("invoice", invoice)
            .finish_non_exhaustive()
    }
}

pub(super) fn header_value(scheme: Scheme, token: &str, invoice: &str) -> HeaderValue {
    let text = [
        scheme.as_str(),
        " macaroon=\"",
        token,
        "\", invoice=\"",
        invoice,
        "\"",
    ]
    .concat();
    let mut value =
        HeaderValue::try_from(text).unwrap_or_else(|_| unreachable!("both are visible ASCII"));
    value.set_sensitive(true);
    value
}

fn read_line(line: &str) -> Vec<Challenge> {
    let (mut challenges, mut draft, mut rest) = (Vec::new(), None::<Draft>, line);
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) =
            rest.split_at(rest.find([' ', '\t', ',', '=', '"']).unwrap_or(rest.len()));
        if let Some(value) = after.trim_start_matches([' ', '\t']).strip_prefix('=') {
            let Some((value, after)) = read_value(value.trim_start_matches([' ', '\t'])) else {
                break;
            };
            if let Some(draft) = &mut draft {
                draft.set(word, value);
            }
            rest = after;
        } else {
            challenges.extend(draft.take().and_then(Draft::finish));
            if word.is_empty() {
                break;
            }
            draft = Scheme::parse(word).map(Draft::new);
            rest = after;
        }
    }
    challenges
}

/// Returns a quoted string or a token, and what follows it. `None` if a quoted string has no end.
fn read_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, rest) = text.split_at(text.find([' ', '\t', ',']).unwrap_or(text.len()));
        return Some((token.to_owned(), rest));
    };
    let (mut value, mut characters) = (String::new(), quoted.chars());
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            character => value.push(character),
        }
    }
}

/// A challenge whose parameters are still being read.
struct Draft {
    scheme: Scheme,
    values: [Option<String>; NAMES.len()],
    is_ambiguous: bool,
}

impl Draft {
    const fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            values: [const { None }; NAMES.len()],
            is_ambiguous: false,
        }
    }

    fn set(&mut self, name: &str, value: String) {
        let slots = NAMES.iter().zip(&mut self.values);
        if let Some((_, slot)) = slots
            .into_iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
        {
            self.is_ambiguous |= slot.replace(value).is_some();
        }
    }

    fn finish(self) -> Option<Challenge> {
        let Self {
            scheme,
            values: [macaroon, token, invoice],
            is_ambiguous,
        } = self;
        let challenge = Challenge::of(scheme, macaroon.or(token)?, invoice?);
        challenge.filter(|_| !is_ambiguous)
    }
}

/// `macaroon` takes precedence over `token`, its name in one version of the specification.
const NAMES: [&str; 3] = ["macaroon", "token", "invoice"];

const MAX_LINE: usize = 64 * 1024;
const MAX_INVOICE: usize = 8 * 1024;
const MAX_TOKEN: usize = 16 * 1024;
