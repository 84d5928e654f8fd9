use std::sync::OnceLock;

use http::{Method, Uri, uri::Scheme};

use super::guard;
use crate::codec::authority::Authority;

/// The method and the URL of a request. The texts of the URL and of the
/// origin are made when they are first needed.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) method: Method,
    pub(super) uri: Uri,
    url: OnceLock<String>,
    origin: OnceLock<String>,
    /// The host in lower case, without a port and without a dot at its end. An IPv6 address has
    /// brackets.
    pub(super) host: String,
    /// `None` for the scheme's default port.
    port: Option<u16>,
    pub(super) is_https: bool,
}

impl Place {
    /// Returns `None` for a URL that is not absolute, that is neither http nor https, that has
    /// userinfo, or whose authority two parsers could read differently.
    pub(super) fn of(method: Method, uri: Uri) -> Option<Self> {
        let scheme = uri.scheme()?;
        let is_https = *scheme == Scheme::HTTPS;
        (is_https || *scheme == Scheme::HTTP).then_some(())?;
        let default = if is_https { 443 } else { 80 };
        let authority = Authority::parse(uri.authority()?.as_str())?.without_default(default);
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        (!host.is_empty()).then_some(())?;
        let port = authority.port();
        Some(Self {
            method,
            uri,
            url: OnceLock::new(),
            origin: OnceLock::new(),
            host,
            port,
            is_https,
        })
    }

    /// Returns the URL, as it is sent.
    pub(super) fn url(&self) -> &str {
        self.url.get_or_init(|| self.uri.to_string())
    }

    /// Returns scheme, host and port in lower case, without a default port: `https://example.com`.
    pub(super) fn origin(&self) -> &str {
        let scheme = if self.is_https { "https" } else { "http" };
        self.origin.get_or_init(|| match self.port {
            Some(port) => format!("{scheme}://{}:{port}", self.host),
            None => format!("{scheme}://{}", self.host),
        })
    }

    /// Returns the path, without the query.
    pub(super) fn path(&self) -> &str {
        self.uri.path()
    }

    /// Returns the name that limits per host count under, so that subdomains are no way around them:
    /// the registrable domain, or the host itself if it has none.
    pub(super) fn registrable(&self) -> &str {
        psl::domain_str(&self.host)
            .filter(|_| guard::leads(&self.host) == guard::Leads::Open)
            .unwrap_or(&self.host)
    }

    /// Returns the path and the query, with its question mark.
    pub(super) fn path_and_query(&self) -> (&str, &str) {
        let query = self.url().find('?').map_or("", |at| &self.url()[at..]);
        (self.path(), query)
    }

    /// Returns what the path and the query are compared by: without dot segments, and with nothing
    /// escaped.
    pub(super) fn key(&self) -> Vec<u8> {
        let (path, query) = self.path_and_query();
        let text = format!("{}{query}", without_dots(path));
        percent_encoding::percent_decode_str(&text).collect()
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        (&self.method, &self.uri) == (&other.method, &other.uri)
    }
}

impl Eq for Place {}

/// Returns a path without dot segments, however they are written (RFC 3986, "Remove Dot Segments").
pub(super) fn without_dots(path: &str) -> String {
    let (mut segments, mut is_folder) = (Vec::new(), false);
    for segment in path.split('/').skip(1) {
        let dots = segment.replace("%2e", ".").replace("%2E", ".");
        is_folder = dots == "." || dots == "..";
        match is_folder {
            true if dots == ".." => drop(segments.pop()),
            true => {}
            false => segments.push(segment),
        }
    }
    if is_folder {
        segments.push("");
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Option<Place> {
        Place::of(Method::GET, url.parse().ok()?)
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
            assert_eq!((place.origin(), &*place.host), (origin, host), "{url}");
        }
        let place = of("https://example.com/A?b=c").unwrap();
        assert_eq!(
            (place.path(), place.url()),
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
            assert!(of(url).is_none(), "{url}");
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
}
