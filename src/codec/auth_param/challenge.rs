//! Challenges, as a server sends them.

use std::borrow::Cow;

use http::HeaderValue;

use super::cursor::{Cursor, is_space, is_tchar};

const MAX_LINE: usize = 64 * 1024;
const MAX_CHALLENGES: usize = 32;
const MAX_PARAMS: usize = 32;

/// One authentication challenge: a scheme, and its token68 or its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthChallenge<'a> {
    scheme: &'a str,
    token68: Option<&'a str>,
    params: Vec<(&'a str, Cow<'a, str>)>,
    repeats: bool,
}

impl<'a> AuthChallenge<'a> {
    /// Parses all challenges of one header line. Returns `None` if the line does not follow RFC
    /// 9110 or exceeds a limit.
    pub fn parse_list(line: &'a [u8]) -> Option<Vec<Self>> {
        if line.len() > MAX_LINE {
            return None;
        }
        let mut cursor = Cursor::new(std::str::from_utf8(line).ok()?);
        let mut list: Vec<Self> = Vec::new();
        loop {
            cursor.skip(is_space);
            if cursor.eat(b',') {
                continue;
            }
            if cursor.is_at_end() {
                return Some(list);
            }
            Self::read(&mut cursor, &mut list)?;
            cursor.skip(is_space);
            if !cursor.is_at_end() && !cursor.eat(b',') {
                return None;
            }
        }
    }

    /// Reads the start of a challenge, or one more parameter of the last challenge.
    fn read(cursor: &mut Cursor<'a>, list: &mut Vec<Self>) -> Option<()> {
        if let Some((name, value)) = cursor.param() {
            return list.last_mut()?.push(name, value);
        }
        let scheme = cursor.token()?;
        let mut challenge = Self {
            scheme,
            token68: None,
            params: Vec::new(),
            repeats: false,
        };
        if cursor.peek() == Some(b' ') {
            cursor.skip(is_space);
            if let Some((name, value)) = cursor.param() {
                challenge.push(name, value)?;
            } else if !matches!(cursor.peek(), None | Some(b',')) {
                challenge.token68 = Some(cursor.token68()?);
            }
        }
        (list.len() < MAX_CHALLENGES).then(|| list.push(challenge))
    }

    /// Returns the scheme as it was written.
    #[must_use]
    pub fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// Returns whether the challenge has this scheme. Case does not matter.
    #[must_use]
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// Returns the token68 if the challenge has one instead of parameters.
    #[must_use]
    pub fn token68(&self) -> Option<&'a str> {
        self.token68
    }

    /// Returns all parameters in their order, or none if one of them is repeated.
    #[must_use]
    pub fn params(&self) -> &[(&'a str, Cow<'a, str>)] {
        if self.repeats { &[] } else { &self.params }
    }

    /// Returns the value of a parameter. Case does not matter. Returns `None` for every name if any
    /// parameter of the challenge is repeated.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&Cow<'a, str>> {
        self.params()
            .iter()
            .find(|(held, _)| held.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn push(&mut self, name: &'a str, value: Cow<'a, str>) -> Option<()> {
        if self.token68.is_some() || self.params.len() == MAX_PARAMS {
            return None;
        }
        self.repeats |= self
            .params
            .iter()
            .any(|(held, _)| held.eq_ignore_ascii_case(name));
        self.params.push((name, value));
        Some(())
    }
}

/// Writes one challenge as a header value, with every parameter quoted. Returns `None` if a value
/// has a control character other than the tab, or if a name is not a token.
pub fn write<'a>(
    scheme: &str,
    params: impl IntoIterator<Item = (&'a str, &'a str), IntoIter: Clone>,
) -> Option<HeaderValue> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(is_tchar);
    let params = params.into_iter();
    let length = params
        .clone()
        .map(|(name, value)| name.len() + value.len() + ", =\"\"".len())
        .sum::<usize>();
    let mut text = String::with_capacity(scheme.len() + length.saturating_sub(1));
    text.push_str(is_name(scheme).then_some(scheme)?);
    for (index, (name, value)) in params.enumerate() {
        is_name(name).then_some(())?;
        text.push_str(if index == 0 { " " } else { ", " });
        text.push_str(name);
        text.push_str("=\"");
        if memchr::memchr2(b'"', b'\\', value.as_bytes()).is_none() {
            text.push_str(value);
        } else {
            for character in value.chars() {
                text.extend(matches!(character, '"' | '\\').then_some('\\'));
                text.push(character);
            }
        }
        text.push('"');
    }
    HeaderValue::try_from(text).ok()
}
