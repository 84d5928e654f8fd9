use super::url::http_url;
use crate::{
    codec::authority::{Authority, is_scheme},
    dialect::x402::Reason,
};

/// The configured public origin of a server, and how a request shows that it was made to it
/// (`lnbtc`, "HTTP requests").
///
/// 1. Each comma-separated hop of `Host`, `:authority` and, behind a trusted proxy,
///    `X-Forwarded-Host` is an authority without userinfo. Each hop of `X-Forwarded-Proto` is a
///    scheme. Otherwise the request cannot be bound.
/// 2. At least one hop is the origin's authority or an accepted one. Otherwise the request is for
///    another server.
/// 3. The configured origin and the raw target are bound, whatever the requester says, even if the
///    request names no authority at all.
#[derive(Clone, Copy, Debug)]
pub struct PublicOrigin<'a> {
    origin: &'a str,
    accepted: &'a [&'a str],
    behind_proxy: bool,
}

impl<'a> PublicOrigin<'a> {
    /// Creates an origin, as `https://api.example.com`, that clients reach without a proxy.
    #[must_use]
    pub const fn new(origin: &'a str) -> Self {
        Self {
            origin,
            accepted: &[],
            behind_proxy: false,
        }
    }

    /// Adds authorities under which requests arrive, as `internal:8080`. Without a port they stand
    /// for ports 80 and 443.
    #[must_use]
    pub const fn with_accepted(self, accepted: &'a [&'a str]) -> Self {
        Self { accepted, ..self }
    }

    /// Trusts `X-Forwarded-Host` and `X-Forwarded-Proto`, because every request comes through a
    /// proxy that sets them.
    #[must_use]
    pub const fn behind_trusted_proxy(self) -> Self {
        Self {
            behind_proxy: true,
            ..self
        }
    }

    /// Returns the URL to bind for a request with these header lines (names in any case) and this
    /// raw target.
    ///
    /// # Errors
    ///
    /// [`Reason::RequestBinding`] if rule 1 is broken or the target cannot be bound,
    /// [`Reason::RequestMismatch`] if rule 2 is broken.
    pub fn bound_url<'h>(
        &self,
        lines: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        target: &str,
    ) -> Result<String, Reason> {
        let (mut named, mut ours) = (false, false);
        for (name, value) in lines {
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
            let is_proto = self.behind_proxy && is("x-forwarded-proto");
            if !(is_proto
                || is("host")
                || is(":authority")
                || (self.behind_proxy && is("x-forwarded-host")))
            {
                continue;
            }
            let value = str::from_utf8(value).map_err(|_| Reason::RequestBinding)?;
            for hop in value.split(',').map(|hop| hop.trim_matches([' ', '\t'])) {
                if is_proto {
                    is_scheme(hop.as_bytes())
                        .then_some(())
                        .ok_or(Reason::RequestBinding)?;
                } else {
                    named = true;
                    ours |= self.is_ours(&Authority::parse(hop).ok_or(Reason::RequestBinding)?);
                }
            }
        }
        if named && !ours {
            return Err(Reason::RequestMismatch);
        }
        let url = format!("{}{target}", self.origin);
        match http_url(&url) {
            Some(bound) if target.starts_with('/') => Ok(bound.into_owned()),
            _ => Err(Reason::RequestBinding),
        }
    }

    fn is_ours(&self, hop: &Authority<'_>) -> bool {
        let Some((scheme, authority)) = self.origin.split_once("://") else {
            return false;
        };
        let default = if scheme.eq_ignore_ascii_case("https") {
            443
        } else {
            80
        };
        Authority::parse(authority).is_some_and(|ours| ours.is_same(hop, default))
            || self
                .accepted
                .iter()
                .filter_map(|ours| Authority::parse(ours))
                .any(|ours| ours.accepts(hop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(
        origin: PublicOrigin<'_>,
        lines: &[(&str, &str)],
        target: &str,
    ) -> Result<String, Reason> {
        origin.bound_url(
            lines.iter().map(|(name, value)| (*name, value.as_bytes())),
            target,
        )
    }

    #[test]
    fn forwarded_words_count_only_behind_a_trusted_proxy() {
        let origin = PublicOrigin::new("https://api.example.com");
        let lines = [
            ("host", "internal:8080"),
            ("x-forwarded-host", "api.example.com:443"),
            ("x-forwarded-proto", "//"),
        ];
        assert_eq!(bound(origin, &lines, "/a"), Err(Reason::RequestMismatch));
        assert_eq!(
            bound(origin.behind_trusted_proxy(), &lines, "/a"),
            Err(Reason::RequestBinding)
        );
        assert_eq!(
            bound(origin.behind_trusted_proxy(), &lines[..2], "/a").unwrap(),
            "https://api.example.com/a"
        );
        assert_eq!(
            bound(origin.with_accepted(&["internal:8080"]), &lines, "/a").unwrap(),
            "https://api.example.com/a"
        );
    }

    #[test]
    fn a_target_cannot_change_the_origin() {
        let origin = PublicOrigin::new("https://api.example.com");
        for bad in [
            "",
            "//evil.example/a",
            ".evil.example/a",
            "@evil.example/a",
            ":1/a",
            "https://evil.example/a",
            "/a#b",
            "*",
        ] {
            assert_eq!(
                bound(origin, &[("host", "api.example.com")], bad),
                Err(Reason::RequestBinding),
                "{bad}"
            );
        }
    }
}
