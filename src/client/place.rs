use http::{Method, Uri, uri::Scheme};

use super::guard;
use crate::codec::authority::Authority;

/// The method and the URL of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) method: Method,
    /// The URL, as it is sent.
    pub(super) url: String,
    /// Scheme, host and port in lower case, without a default port: `https://example.com`.
    pub(super) origin: String,
    /// The host in lower case, without a port and without a dot at its end. An IPv6 address has
    /// brackets.
    pub(super) host: String,
    /// The path, without the query.
    pub(super) path: String,
    pub(super) is_https: bool,
}

impl Place {
    /// Returns `None` for a URL that is not absolute, that is neither http nor https, that has
    /// userinfo, or whose authority two parsers could read differently.
    pub(super) fn of(method: &Method, uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme()?;
        let is_https = *scheme == Scheme::HTTPS;
        (is_https || *scheme == Scheme::HTTP).then_some(())?;
        let default = if is_https { 443 } else { 80 };
        let authority = Authority::parse(uri.authority()?.as_str())?.without_default(default);
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        (!host.is_empty()).then_some(())?;
        let port = authority.port().map(|port| format!(":{port}"));
        let port = port.unwrap_or_default();
        Some(Self {
            method: method.clone(),
            url: uri.to_string(),
            origin: format!("{}://{host}{port}", scheme.as_str()),
            host,
            path: uri.path().to_owned(),
            is_https,
        })
    }

    /// Returns the name that limits per host count under, so that subdomains are no way around them:
    /// the registrable domain, or the host itself if it has none.
    pub(super) fn registrable(&self) -> &str {
        psl::domain_str(&self.host)
            .filter(|_| guard::leads(&self.host) == guard::Leads::Open)
            .unwrap_or(&self.host)
    }

    /// Returns the URL of a `Location` relative to this one, read as browsers do. `None` if it cannot
    /// be read.
    pub(super) fn redirected(&self, location: &str) -> Option<String> {
        let location = location.trim_ascii().replace('\\', "/");
        let own = if self.is_https { "https" } else { "http" };
        let (scheme, rest) = match location.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
            _ if location.starts_with("//") => (own, &*location),
            _ => {
                // A relative path is resolved in the folder of this one.
                let path = location.split(['?', '#']).next()?;
                let folder = self.path.rfind('/').map_or("/", |end| &self.path[..=end]);
                let folder = if path.starts_with('/') { "" } else { folder };
                return Some(format!(
                    "{}{}",
                    self.origin,
                    resolved(&[folder, path].concat())
                ));
            }
        };
        let to = format!("{scheme}://{}", rest.trim_start_matches('/'));
        Some(Self::of(&self.method, &to.parse().ok()?)?.key())
    }

    /// Returns what redirects are remembered by: the origin and the path, without dot segments.
    pub(super) fn key(&self) -> String {
        format!("{}{}", self.origin, resolved(&self.path))
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Returns a path without dot segments, however they are written (RFC 3986, "Remove Dot Segments").
fn resolved(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        match &*segment.replace("%2e", ".").replace("%2E", ".") {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Option<Place> {
        Place::of(&Method::GET, &url.parse().ok()?)
    }

    #[test]
    fn one_origin_has_one_spelling() {
        for (url, origin, host) in [
            (
                "https://Example.com:443/A?b",
                "https://example.com",
                "example.com",
            ),
            (
                "https://example.com./A",
                "https://example.com",
                "example.com",
            ),
            (
                "http://example.com:8080",
                "http://example.com:8080",
                "example.com",
            ),
            ("http://[::1]:80/", "http://[::1]", "[::1]"),
        ] {
            let place = of(url).unwrap();
            assert_eq!((&*place.origin, &*place.host), (origin, host), "{url}");
        }
        let place = of("https://example.com/A?b=c").unwrap();
        assert_eq!(
            (&*place.path, &*place.url),
            ("/A", "https://example.com/A?b=c")
        );
    }

    #[test]
    fn a_url_that_can_be_read_in_two_ways_is_none() {
        for url in [
            "/a",
            "example.com:443",
            "ftp://a/",
            "https://a@b/",
            "https://a:b@c/",
        ] {
            assert_eq!(of(url), None, "{url}");
        }
    }

    #[test]
    fn subdomains_count_as_one_host_and_neighbours_do_not() {
        for (host, counts_as) in [
            ("a.b.example.com", "example.com"),
            ("example.co.uk", "example.co.uk"),
            ("a.example.co.uk", "example.co.uk"),
            ("alice.github.io", "alice.github.io"),
            ("localhost", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[2606:4700::1]", "[2606:4700::1]"),
        ] {
            assert_eq!(
                of(&format!("https://{host}/")).unwrap().registrable(),
                counts_as
            );
        }
    }

    #[test]
    fn a_redirect_leads_to_an_origin_and_a_path() {
        let from = of("https://a/b/c?d").unwrap();
        for (location, to) in [
            ("https://B:443/x?y", Some("https://b/x")),
            ("//b/x", Some("https://b/x")),
            ("/x?y#z", Some("https://a/x")),
            ("x", Some("https://a/b/x")),
            ("../x", Some("https://a/x")),
            ("/y/%2e%2E/./x", Some("https://a/x")),
            ("https://b/y/../x", Some("https://b/x")),
            (r"https:\\b\x", Some("https://b/x")),
            ("https:/b/x", Some("https://b/x")),
            (" /x:y", Some("https://a/x:y")),
            ("https://u@b/", None),
            ("mailto:x", None),
        ] {
            assert_eq!(from.redirected(location).as_deref(), to, "{location}");
        }
    }
}
