use std::{
    borrow::Cow,
    net::{Ipv4Addr, Ipv6Addr},
};

/// A host and a port, as RFC 3986, section 3.2, without userinfo.
#[derive(Clone, Debug)]
pub(super) struct Authority<'a> {
    pub(super) host: Cow<'a, str>,
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, after) = rest.split_once(']')?;
                address.parse::<Ipv6Addr>().ok()?;
                (&text[..address.len() + 2], if after.is_empty() { "" } else { after.strip_prefix(':')? })
            }
            None => text.split_once(':').unwrap_or((text, "")),
        };
        if host.is_empty() || !(host.starts_with('[') || is_name(host.as_bytes())) {
            return None;
        }
        Some(Self { host: Cow::Borrowed(host), port: parse_port(port)? })
    }

    pub(super) fn parse_bytes(text: &'a [u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(text).ok()?)
    }

    pub(super) fn into_owned(self) -> Authority<'static> {
        Authority { host: Cow::Owned(self.host.into_owned()), port: self.port }
    }

    pub(super) fn is_host(&self, host: &str) -> bool {
        self.host.eq_ignore_ascii_case(host)
    }

    /// Whether this is `localhost` or a loopback address, written as one.
    pub(super) fn is_loopback(&self) -> bool {
        let v6 = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        match v6 {
            Some(address) => address.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback()),
            None => self.is_host("localhost") || self.host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback()),
        }
    }

    /// Whether `other` is at this authority, which stands for both default ports where it names none.
    pub(super) fn accepts(&self, other: &Authority<'_>) -> bool {
        let is_default = |port| matches!(port, None | Some(80 | 443));
        other.is_host(&self.host) && (self.port == other.port || (self.port.is_none() && is_default(other.port)))
    }
}

/// `None` within for an empty port, which RFC 3986 allows.
fn parse_port(text: &str) -> Option<Option<u16>> {
    if text.is_empty() {
        return Some(None);
    }
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok().map(Some))?
}

/// RFC 3986's `reg-name`, which an IPv4 address is too.
fn is_name(text: &[u8]) -> bool {
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        let is_ok = match byte {
            b'%' => (0..2).all(|_| rest.next().is_some_and(u8::is_ascii_hexdigit)),
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=' => true,
            byte => byte.is_ascii_alphanumeric(),
        };
        if !is_ok {
            return false;
        }
    }
    true
}
