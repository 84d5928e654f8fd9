use std::{error::Error, fmt};

use super::client_url::is_prefix;
use crate::codec::authority::Authority;

/// A configured public origin, such as `https://api.example.com`: lower case, without a default
/// port. It may have a path, which is not part of its text.
///
/// Its text is safe in a quoted string, such as a realm.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    text: String,
    /// What proxies strip from each path: empty, or such as `/v1`.
    prefix: String,
    /// Has a port only if it is not the default one.
    authority: Authority<'static>,
    default_port: u16,
}

/// A mistake in a configured origin, and the fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OriginError(String);

impl Origin {
    /// Reads an `https` origin, or an `http` origin of a literal loopback address or `localhost`.
    pub(crate) fn parse(text: &str) -> Result<Self, OriginError> {
        let origin = Self::parse_insecure(text)?;
        if origin.is_secure() || origin.is_loopback() {
            return Ok(origin);
        }
        Err(OriginError::of(
            text,
            "is not secure: credentials are money, use `https` (or `insecure_origin`, for tests)",
        ))
    }

    /// Reads an origin of either scheme.
    pub(crate) fn parse_insecure(text: &str) -> Result<Self, OriginError> {
        let expected = |expected: &str| OriginError::of(text, expected);
        if text.trim() != text {
            return Err(expected("has white space around it: remove it"));
        }
        let lower = text.to_ascii_lowercase();
        let (default_port, rest) = match (
            lower.strip_prefix("https://"),
            lower.strip_prefix("http://"),
        ) {
            (Some(rest), _) => (443, rest),
            (_, Some(rest)) => (80, rest),
            _ if text.contains("://") => {
                return Err(expected("has another scheme: expected `https://`"));
            }
            _ => {
                return Err(expected(
                    "has no scheme: expected something like `https://api.example.com`",
                ));
            }
        };
        if !text.is_ascii() {
            return Err(expected("is not ASCII: write the name in its `xn--` form"));
        }
        let (rest, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // In the case in which it was written.
        let prefix = &text[text.len() - prefix.len()..];
        if text.contains(['?', '#', '@', '\\']) || !(prefix.is_empty() || is_prefix(prefix)) {
            return Err(expected(
                "is more than an origin: expected no query, fragment or user, no slash at the end, and only a path of plain \
                 segments, such as `/v1`",
            ));
        }
        let authority = Authority::parse(rest).filter(|authority| is_host(authority.host()));
        if authority
            .as_ref()
            .is_some_and(|authority| authority.host().ends_with('.'))
        {
            return Err(expected(
                "has a dot at the end of its name: remove it (requests may have one)",
            ));
        }
        let authority = authority
            .ok_or_else(|| {
                expected("has no proper host: expected a name or address and an optional port")
            })?
            .into_owned()
            .without_default(default_port);
        let scheme = if default_port == 443 { "https" } else { "http" };
        let port = authority
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        Ok(Self {
            text: format!("{scheme}://{}{port}", authority.host()),
            prefix: prefix.to_owned(),
            authority,
            default_port,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns what proxies strip from each path: empty, or such as `/v1`.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns its host, without the port.
    #[cfg(test)]
    pub(crate) fn host(&self) -> &str {
        self.authority.host()
    }

    pub(crate) const fn is_secure(&self) -> bool {
        self.default_port == 443
    }

    /// Whether it names `localhost` or a loopback address.
    pub(crate) fn is_loopback(&self) -> bool {
        self.authority.is_loopback()
    }

    /// Returns the names that a loopback origin goes by, with its scheme and port. None for others.
    pub(super) fn loopback_names(&self) -> impl Iterator<Item = Self> {
        let scheme = if self.is_secure() { "https" } else { "http" };
        let port = self
            .authority
            .port()
            .map_or(String::new(), |port| format!(":{port}"));
        let names = ["127.0.0.1", "localhost", "[::1]"];
        names
            .into_iter()
            .filter(|_| self.is_loopback())
            .filter_map(move |name| Self::parse(&format!("{scheme}://{name}{port}")).ok())
    }

    /// Whether `authority` is this origin's, byte by byte, as nearly all clients write it.
    pub(super) fn is_written(&self, authority: &[u8]) -> bool {
        self.text
            .as_bytes()
            .strip_suffix(authority)
            .is_some_and(|scheme| matches!(scheme, b"https://" | b"http://"))
    }

    /// Whether `authority` is this origin's, in any case and with or without the default port.
    pub(super) fn is_at(&self, authority: &Authority<'_>) -> bool {
        self.authority.is_same(authority, self.default_port)
    }
}

impl OriginError {
    pub(super) fn of(origin: &str, what: &str) -> Self {
        Self(format!("origin `{origin}` {what}"))
    }

    pub(super) fn authority(text: &str) -> Self {
        Self(format!(
            "`{text}` is not an authority: expected `name` or `name:port`, without a scheme, a path or a wildcard"
        ))
    }

    pub(super) fn missing() -> Self {
        Self(
            "no public origin is configured: add `.origin(\"https://api.example.com\")`".to_owned(),
        )
    }
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for OriginError {}

/// Stricter than the host of a request: only characters that neither a realm nor a URL has to
/// escape.
pub(super) fn is_host(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    host.starts_with('[')
        || (!host.starts_with('.') && !host.contains("..") && host.bytes().all(is_plain))
}
