//! HTTP authentication challenges (RFC 9110, section 11): schemes, auth-params, quoted strings.
//!
//! 1. A line is a list of challenges; each is a scheme alone, with one token68, or with auth-params. Empty list elements are
//!    skipped. Every line of a field is read for itself.
//! 2. Strict: what the grammar does not know makes the whole line unreadable, so that no parameter is ever taken for another
//!    challenge's. Values are UTF-8.
//! 3. A challenge that repeats a parameter is unreadable, and it alone.
//! 4. Bounded: 64 KiB, 32 challenges, 32 parameters each.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

const MAX_LINE: usize = 64 * 1024;
const MAX_CHALLENGES: usize = 32;
const MAX_PARAMS: usize = 32;

/// One challenge: a scheme and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthChallenge<'a> {
    scheme: &'a str,
    token68: Option<&'a str>,
    params: Vec<(&'a str, Cow<'a, str>)>,
    repeats: bool,
}

impl<'a> AuthChallenge<'a> {
    /// All challenges of one line; `None` where it is not one of RFC 9110.
    pub fn parse_list(line: &'a [u8]) -> Option<Vec<Self>> {
        if line.len() > MAX_LINE {
            return None;
        }
        let mut cursor = Cursor { text: std::str::from_utf8(line).ok()?, at: 0 };
        let mut list: Vec<Self> = Vec::new();
        loop {
            cursor.skip(is_space);
            if cursor.eat(b',') {
                continue;
            }
            if cursor.is_at_end() {
                return Some(list);
            }
            cursor.element(&mut list)?;
            cursor.skip(is_space);
            if !cursor.is_at_end() && !cursor.eat(b',') {
                return None;
            }
        }
    }

    /// The scheme as it was written.
    #[must_use]
    pub fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// Whether this is the scheme, in any case.
    #[must_use]
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The token68, where the challenge has one instead of parameters.
    #[must_use]
    pub fn token68(&self) -> Option<&'a str> {
        self.token68
    }

    /// All parameters in their order; none where one of them is repeated.
    #[must_use]
    pub fn params(&self) -> &[(&'a str, Cow<'a, str>)] {
        if self.repeats { &[] } else { &self.params }
    }

    /// The parameter of this name, in any case; `None` for each where one of them is repeated.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&Cow<'a, str>> {
        self.params().iter().find(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn push(&mut self, name: &'a str, value: Cow<'a, str>) -> Option<()> {
        if self.token68.is_some() || self.params.len() == MAX_PARAMS {
            return None;
        }
        self.repeats |= self.params.iter().any(|(held, _)| held.eq_ignore_ascii_case(name));
        self.params.push((name, value));
        Some(())
    }
}

/// One challenge as a header's value, every parameter quoted; `None` where a value has a control character other than the tab,
/// or a name is no token.
pub fn write<'a>(scheme: &str, params: impl IntoIterator<Item = (&'a str, &'a str), IntoIter: Clone>) -> Option<HeaderValue> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(is_tchar);
    let params = params.into_iter();
    let length = params.clone().map(|(name, value)| name.len() + value.len() + ", =\"\"".len()).sum::<usize>();
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

/// The credentials of an `Authorization` line onto which several were folded: cut at each comma outside of quotes that a
/// scheme and a space follow. Nothing else is asked of them, since some schemes use characters that RFC 9110 does not know.
pub fn folded_credentials(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let cut = boundary(line);
        rest = cut.and_then(|at| line.get(at + 1..));
        Some(line[..cut.unwrap_or(line.len())].trim_ascii())
    })
}

/// The credential of a header with one line and no comma, onto which nothing can be folded.
pub fn sole_credential<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name).into_iter();
    let line = lines.next().filter(|_| lines.next().is_none())?.as_bytes();
    (!may_be_folded(line)).then(|| line.trim_ascii())
}

/// Whether a line has a comma, without which it holds one credential.
pub fn may_be_folded(line: &[u8]) -> bool {
    memchr::memchr(b',', line).is_some()
}

/// What stands after this scheme, in any case, and at least one space; empty for the scheme alone.
#[must_use]
pub fn after_scheme<'a>(credential: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (head, rest) = credential.split_at_checked(scheme.len())?;
    let separated = rest.first().is_none_or(|byte| *byte == b' ');
    (head.eq_ignore_ascii_case(scheme.as_bytes()) && separated).then(|| rest.trim_ascii())
}

/// Takes the credentials that `is_ours` knows out of one header. Of a folded line only they go; other lines stay untouched.
pub fn remove_credentials(headers: &mut HeaderMap, name: &HeaderName, is_ours: impl Fn(&[u8]) -> bool) {
    if let Some(credential) = sole_credential(headers, name) {
        if is_ours(credential) {
            headers.remove(name);
        }
        return;
    }
    let (mut kept, mut found) = (Vec::new(), false);
    for line in headers.get_all(name) {
        let (mut own, mut foreign) = (false, false);
        folded_credentials(line.as_bytes()).for_each(|part| if is_ours(part) { own = true } else { foreign = true });
        found |= own;
        match (own, foreign) {
            (false, _) => kept.push(line.clone()),
            (true, true) => kept.extend(without(line, &is_ours)),
            (true, false) => {}
        }
    }
    if found {
        headers.remove(name);
        for line in kept {
            headers.append(name, line);
        }
    }
}

/// Moves the credentials that `is_ours` knows out of one header; each comes back as a line of its own, marked as sensitive.
pub fn take_credentials(headers: &mut HeaderMap, name: &HeaderName, is_ours: impl Fn(&[u8]) -> bool) -> Vec<HeaderValue> {
    let parts = headers.get_all(name).into_iter().flat_map(|line| folded_credentials(line.as_bytes()));
    let taken: Vec<_> = parts.filter(|part| is_ours(part)).filter_map(sensitive).collect();
    if !taken.is_empty() {
        remove_credentials(headers, name, |part| taken.iter().any(|taken| taken.as_bytes() == part));
    }
    taken
}

fn sensitive(credential: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(credential).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn without(line: &HeaderValue, is_ours: impl Fn(&[u8]) -> bool) -> Option<HeaderValue> {
    let foreign: Vec<_> = folded_credentials(line.as_bytes()).filter(|part| !is_ours(part)).collect();
    let mut kept = HeaderValue::from_bytes(&foreign.join(&b", "[..])).ok().filter(|kept| !kept.is_empty())?;
    kept.set_sensitive(line.is_sensitive());
    Some(kept)
}

fn boundary(line: &[u8]) -> Option<usize> {
    may_be_folded(line).then_some(())?;
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in line.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted && starts_with_scheme(line[at + 1..].trim_ascii_start()) => return Some(at),
            _ => {}
        }
    }
    None
}

fn starts_with_scheme(text: &[u8]) -> bool {
    let end = text.iter().position(|byte| !is_tchar(*byte)).unwrap_or(text.len());
    let after = text[end..].trim_ascii_start();
    end > 0 && text.get(end) == Some(&b' ') && after.first().is_some_and(|byte| !matches!(byte, b'=' | b','))
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A challenge's beginning, or a further parameter of the last one.
    fn element(&mut self, list: &mut Vec<AuthChallenge<'a>>) -> Option<()> {
        if let Some((name, value)) = self.param() {
            return list.last_mut()?.push(name, value);
        }
        let scheme = self.token()?;
        let mut challenge = AuthChallenge { scheme, token68: None, params: Vec::new(), repeats: false };
        if self.peek() == Some(b' ') {
            self.skip(is_space);
            if let Some((name, value)) = self.param() {
                challenge.push(name, value)?;
            } else if !matches!(self.peek(), None | Some(b',')) {
                challenge.token68 = Some(self.token68()?);
            }
        }
        (list.len() < MAX_CHALLENGES).then(|| list.push(challenge))
    }

    /// `token BWS "=" BWS ( token / quoted-string )` up to the next comma or the end, or nothing read.
    fn param(&mut self) -> Option<(&'a str, Cow<'a, str>)> {
        let start = self.at;
        let read = self.try_param();
        if read.is_none() {
            self.at = start;
        }
        read
    }

    fn try_param(&mut self) -> Option<(&'a str, Cow<'a, str>)> {
        let name = self.token()?;
        self.skip(is_space);
        if !self.eat(b'=') {
            return None;
        }
        self.skip(is_space);
        let value = if self.eat(b'"') { self.quoted()? } else { Cow::Borrowed(self.token()?) };
        let end = self.at;
        self.skip(is_space);
        let closed = matches!(self.peek(), None | Some(b','));
        self.at = end;
        closed.then_some((name, value))
    }

    /// The rest of a quoted-string whose opening quote is read.
    fn quoted(&mut self) -> Option<Cow<'a, str>> {
        let mut value = Cow::Borrowed("");
        loop {
            let plain = self.skip(|byte| is_quotable(byte) && !matches!(byte, b'"' | b'\\'));
            if value.is_empty() {
                value = Cow::Borrowed(plain);
            } else {
                value.to_mut().push_str(plain);
            }
            if self.eat(b'"') {
                return Some(value);
            }
            if !self.eat(b'\\') || !self.peek().is_some_and(is_quotable) {
                return None;
            }
            let escaped = self.text.get(self.at..)?.chars().next()?;
            self.at += escaped.len_utf8();
            value.to_mut().push(escaped);
        }
    }

    fn token(&mut self) -> Option<&'a str> {
        let token = self.skip(is_tchar);
        (!token.is_empty()).then_some(token)
    }

    fn token68(&mut self) -> Option<&'a str> {
        let start = self.at;
        let body = self.skip(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        self.skip(|byte| byte == b'=');
        (!body.is_empty()).then(|| &self.text[start..self.at])
    }

    fn skip(&mut self, while_: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        self.at += rest.iter().position(|byte| !while_(*byte)).unwrap_or(rest.len());
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let eaten = self.peek() == Some(byte);
        self.at += usize::from(eaten);
        eaten
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What may stand in a quoted-string, plain or escaped: tab, space, visible characters, and UTF-8 beyond ASCII.
fn is_quotable(byte: u8) -> bool {
    (byte == b'\t') | ((byte >= b' ') & (byte != 0x7f))
}

#[cfg(test)]
mod tests;
