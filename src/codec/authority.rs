//! The authority (host and port) of a URL, of `Host` and of similar headers
//! ([RFC 3986](https://www.rfc-editor.org/rfc/rfc3986.html#section-3.2), "Authority"). This is the
//! crate's only parser for it.
//!
//! It refuses userinfo, and any text that two parsers could read differently. A port is a number
//! from 1 to 65535 without leading zeros. An empty port (`name:`) counts as no port, and a name with
//! a dot at its end is the same name, as the RFC says.

use std::{
    borrow::Cow,
    net::{Ipv4Addr, Ipv6Addr},
};

/// A host and an optional port.
#[derive(Clone, Debug)]
pub(crate) struct Authority<'a> {
    host: Cow<'a, str>,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Parses an authority. Returns `None` for any other text.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let host_end = match text.strip_prefix('[') {
            Some(rest) => rest.find(']')? + 2,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, after) = text.split_at(host_end);
        match host.strip_prefix('[') {
            Some(address) => drop(address.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?),
            None => is_registered_name(host).then_some(())?,
        }
        let port = if after.is_empty() {
            None
        } else {
            port(after.strip_prefix(':')?)?
        };
        Some(Self {
            host: Cow::Borrowed(host),
            port,
        })
    }

    /// Parses an authority from bytes. Returns `None` if they are not UTF-8 or not an authority.
    pub(crate) fn parse_bytes(text: &'a [u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(text).ok()?)
    }

    /// Returns a copy that does not borrow from the parsed text.
    #[must_use]
    pub(crate) fn into_owned(self) -> Authority<'static> {
        Authority {
            host: Cow::Owned(self.host.into_owned()),
            port: self.port,
        }
    }

    /// Returns the host as it was written, with the brackets of an IPv6 address.
    #[must_use]
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, if the text has one.
    #[must_use]
    pub(crate) const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the authority without its port if that is `default`.
    #[must_use]
    pub(crate) fn without_default(self, default: u16) -> Self {
        Self {
            port: self.port.filter(|port| *port != default),
            ..self
        }
    }

    /// Returns whether both name the same host and port. `default` is the port of one that has
    /// none.
    #[must_use]
    pub(crate) fn is_same(&self, other: &Authority<'_>, default: u16) -> bool {
        self.is_host(&other.host) && self.port.unwrap_or(default) == other.port.unwrap_or(default)
    }

    /// Returns whether `other` has this host and port. If this authority has no port, `other` may
    /// have none, 80 or 443.
    #[must_use]
    pub(crate) fn accepts(&self, other: &Authority<'_>) -> bool {
        let is_default = |port| matches!(port, None | Some(80 | 443));
        self.is_host(&other.host)
            && (self.port == other.port || (self.port.is_none() && is_default(other.port)))
    }

    /// Returns whether the host is `localhost` or a loopback address.
    #[must_use]
    pub(crate) fn is_loopback(&self) -> bool {
        let v6 = self
            .host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        match v6 {
            Some(address) => address
                .parse()
                .is_ok_and(|address: Ipv6Addr| address.is_loopback()),
            None => {
                self.is_host("localhost")
                    || self
                        .host
                        .parse()
                        .is_ok_and(|address: Ipv4Addr| address.is_loopback())
            }
        }
    }

    fn is_host(&self, host: &str) -> bool {
        without_dot(&self.host).eq_ignore_ascii_case(without_dot(host))
    }
}

/// Returns a name without the dot that may end it (RFC 3986, "Host").
fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Returns the port, `Some(None)` if it is empty, or `None` if it is not a port.
#[expect(clippy::option_option, reason = "an empty port is not a wrong port")]
fn port(digits: &str) -> Option<Option<u16>> {
    if digits.is_empty() {
        return Some(None);
    }
    let is_number = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        digits.parse().ok().map(Some)
    } else {
        None
    }
}

/// Returns whether the text is a non-empty `reg-name` of RFC 3986. IPv4 addresses are included.
fn is_registered_name(text: &str) -> bool {
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let fits = match byte {
            b'%' => (0..2).all(|_| rest.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !fits {
            return false;
        }
    }
    !text.is_empty()
}

/// Returns whether the text is a URL scheme (RFC 3986, "Scheme").
pub(crate) fn is_scheme(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_and_an_optional_port() {
        for (text, host, port) in [
            ("a", "a", None),
            ("a:", "a", None),
            ("A.Example:443", "A.Example", Some(443)),
            ("a.example.:1", "a.example.", Some(1)),
            ("127.0.0.1:65535", "127.0.0.1", Some(65_535)),
            ("[2001:DB8::1]", "[2001:DB8::1]", None),
            ("[::1]:", "[::1]", None),
            ("[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]", Some(80)),
            ("a%2Cb,c!$&'()*+;=~_", "a%2Cb,c!$&'()*+;=~_", None),
        ] {
            let read = Authority::parse_bytes(text.as_bytes()).unwrap();
            assert_eq!((read.host(), read.port()), (host, port), "{text}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_no_authority() {
        for bad in [
            "",
            ":",
            ":80",
            "a:0",
            "a:00",
            "a:080",
            "a:0443",
            "a:000443",
            "a:65536",
            "a:99999999999",
            "a:+80",
            "a:-1",
            "a: 80",
            "a:80 ",
            " a",
            "a:8 0",
            "a:8x",
            "a:80:80",
            "a::",
            "a:\u{663}",
            "u@a",
            "u:p@a",
            "@a",
            "a/",
            "a?",
            "a#",
            "a\\b",
            "[::1",
            "::1",
            "[::1]b",
            "[::1]80",
            "a[::1]",
            "[]",
            "[a]",
            "[v1.a]",
            "[fe80::1%25eth0]",
            "[127.0.0.1]",
            "[::1]:0",
            "[::1]:01",
            "a%",
            "a%2",
            "a%zz",
            "\u{e9}",
            "a\u{0}",
            "a\t",
        ] {
            assert!(Authority::parse(bad).is_none(), "{bad:?}");
        }
        assert!(Authority::parse_bytes(b"\xff").is_none());
    }

    #[test]
    fn case_and_default_ports_do_not_make_another_place() {
        let of = |text: &'static str| Authority::parse(text).unwrap();
        assert!(
            of("A.example").is_same(&of("a.EXAMPLE:443"), 443)
                && of("a:").is_same(&of("a:443"), 443)
        );
        assert!(!of("a").is_same(&of("a:80"), 443) && !of("a").is_same(&of("b"), 443));
        for (one, other, is_same) in [
            ("a.example", "A.example.", true),
            ("a.example.:443", "a.example", true),
            ("a.example.", "a.example.", true),
            ("a.example", "a.example..", false),
            ("a.example", ".a.example", false),
            ("a.example", "a.example.:80", false),
            ("a", ".", false),
        ] {
            assert_eq!(of(one).is_same(&of(other), 443), is_same, "{one} {other}");
        }
        assert!(
            of("a").accepts(&of("A:80"))
                && of("a").accepts(&of("a:443"))
                && !of("a").accepts(&of("a:8080"))
        );
        assert!(of("a:8080").accepts(&of("a:8080")) && !of("a:80").accepts(&of("a")));
        assert!(
            [
                "localhost",
                "LOCALHOST:1",
                "127.0.0.1",
                "127.9.9.9:80",
                "localhost.:1",
                "[::1]"
            ]
            .iter()
            .all(|text| of(text).is_loopback())
        );
        assert!(
            ["localhost..", "127.0.0.1.nip.io", "0.0.0.0", "[::]", "a"]
                .iter()
                .all(|text| !of(text).is_loopback())
        );
    }
}
