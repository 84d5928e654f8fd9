//! A cursor that reads tokens of RFC 9110's grammar from text.

use std::borrow::Cow;

pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Reads `token BWS "=" BWS ( token / quoted-string )` if a comma or the end follows it.
    /// Otherwise the cursor does not move.
    pub(super) fn param(&mut self) -> Option<(&'a str, Cow<'a, str>)> {
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
        let value = if self.eat(b'"') {
            self.quoted()?
        } else {
            Cow::Borrowed(self.token()?)
        };
        let end = self.at;
        self.skip(is_space);
        let closed = matches!(self.peek(), None | Some(b','));
        self.at = end;
        closed.then_some((name, value))
    }

    /// Reads the rest of a quoted-string whose opening quote was read already.
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

    pub(super) fn token(&mut self) -> Option<&'a str> {
        let token = self.skip(is_tchar);
        (!token.is_empty()).then_some(token)
    }

    pub(super) fn token68(&mut self) -> Option<&'a str> {
        let start = self.at;
        let body = self.skip(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        self.skip(|byte| byte == b'=');
        (!body.is_empty()).then(|| &self.text[start..self.at])
    }

    pub(super) fn skip(&mut self, while_: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        self.at += rest
            .iter()
            .position(|byte| !while_(*byte))
            .unwrap_or(rest.len());
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let eaten = self.peek() == Some(byte);
        self.at += usize::from(eaten);
        eaten
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub(super) fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns whether a byte is allowed in a quoted-string, plain or escaped: tab, space, visible
/// characters, and UTF-8 beyond ASCII.
fn is_quotable(byte: u8) -> bool {
    (byte == b'\t') | ((byte >= b' ') & (byte != 0x7f))
}
