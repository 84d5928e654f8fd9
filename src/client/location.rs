//! Reads the header `Location` of a redirect. It accepts only a text that all clients read as the same
//! URL.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
};

use http::Method;

use super::{
    guard,
    place::{Place, without_dots},
};

/// What the text of a `Location` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// This place. The text is its URL with the fragment.
    Place(Box<Place>, String),
    /// A URL that is neither http nor https.
    Other,
    /// Clients would read it as different URLs.
    Unclear,
}

/// Reads a `Location` relative to the place that sent it. What browsers repair, and what leads to
/// one place however it is read, is repaired: tabs, backslashes, and characters that must be
/// escaped.
pub(super) fn target(from: &Place, location: &[u8]) -> Target {
    let text = repaired(location);
    let path_end = text.find(['?', '#']).unwrap_or(text.len());
    let scheme = text[..path_end].split_once(':');
    let scheme = scheme.filter(|(scheme, _)| is_scheme(scheme));
    let absolute = match scheme {
        Some((scheme, _)) => {
            let is_web = ["http", "https"].contains(&&*scheme.to_ascii_lowercase());
            if !is_web {
                return Target::Other;
            }
            let after = &text[scheme.len() + 1..];
            format!("{}:{after}", scheme.to_ascii_lowercase())
        }
        None if text.starts_with("//") => {
            let scheme = if from.is_https { "https" } else { "http" };
            format!("{scheme}:{text}")
        }
        None => relative(from, &text),
    };
    let Some(place) = place(&from.method, &absolute) else {
        return Target::Unclear;
    };
    let fragment = text.find('#').map_or("", |at| &text[at..]);
    let url = format!("{}{fragment}", place.url());
    Target::Place(Box::new(place), url)
}

/// Returns a reference in the characters of a URI.
fn repaired(location: &[u8]) -> String {
    let mut text = String::with_capacity(location.len());
    let (mut in_path, location) = (true, location.trim_ascii());
    for byte in location.iter().copied().filter(|byte| *byte != b'\t') {
        in_path &= !b"?#".contains(&byte);
        match byte {
            b'\\' if in_path => text.push('/'),
            _ if byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte) => {
                text.push(char::from(byte));
            }
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}

/// Returns the URL of a relative reference.
fn relative(from: &Place, text: &str) -> String {
    let (own, query) = from.path_and_query();
    let text = text.split('#').next().unwrap_or_default();
    let (path, folder) = match text.as_bytes().first() {
        None => (query, own),
        Some(b'?') => (text, own),
        Some(b'/') => (text, ""),
        Some(_) => (text, own.rfind('/').map_or("/", |end| &own[..=end])),
    };
    // Some take what is before the colon for a scheme, or for a host.
    let first = path.split(['/', '?']).next().unwrap_or_default();
    let is_clear = !first.contains(':') && !path.starts_with("//");
    match is_clear {
        true => format!("{}{folder}{path}", from.origin()),
        false => String::new(),
    }
}

/// Returns the place of an absolute URL, without dot segments. `None` if two clients could read it
/// differently.
fn place(method: &Method, url: &str) -> Option<Place> {
    let url = url.split('#').next()?;
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (path, query) = rest.find('?').map_or((rest, ""), |at| rest.split_at(at));
    let url = format!("{scheme}://{authority}{}{query}", without_dots(path));
    let place = Place::of(method.clone(), url.parse().ok()?)?;
    is_one_host(&place.host).then_some(place)
}

/// Returns whether every resolver and parser takes this for the same host.
fn is_one_host(host: &str) -> bool {
    if let Some(v6) = host.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')) {
        return v6
            .parse::<Ipv6Addr>()
            .is_ok_and(|read| read.to_string() == v6);
    }
    let is_v4 = host.parse::<Ipv4Addr>().is_ok();
    is_v4 || guard::leads(host) != guard::Leads::Inside
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(url: &str) -> Place {
        Place::of(Method::GET, url.parse().unwrap()).unwrap()
    }

    fn led(location: &[u8]) -> Target {
        target(&from("https://a/b/c?d"), location)
    }

    #[test]
    fn a_redirect_leads_to_an_origin_and_a_path() {
        for (location, to) in [
            ("https://B:443/x?y", "https://b/x?y"),
            ("HTTPS://b", "https://b/"),
            ("http://b:443/x", "http://b:443/x"),
            ("//b/x", "https://b/x"),
            ("/x?y#z", "https://a/x?y"),
            ("x", "https://a/b/x"),
            ("?x:/y", "https://a/b/c?x:/y"),
            ("#x", "https://a/b/c?d"),
            ("", "https://a/b/c?d"),
            ("../x", "https://a/x"),
            ("..", "https://a/"),
            ("./", "https://a/b/"),
            ("/y/%2e%2E/./x", "https://a/x"),
            ("https://b/y/../x", "https://b/x"),
            (" \t/x:y ", "https://a/x:y"),
            // What browsers repair.
            (r"https:\\b\x?\", "https://b/x?%5C"),
            (r"\\b\x", "https://b/x"),
            (r"https://c\@b/", "https://c/@b/"),
            ("ht\ttps://b/x", "https://b/x"),
            ("/a b?c d", "https://a/a%20b?c%20d"),
            ("/ø", "https://a/%C3%B8"),
            (
                "https://b/{x}|\"<>^`",
                "https://b/%7Bx%7D%7C%22%3C%3E%5E%60",
            ),
            ("https://[::1]:8080/", "https://[::1]:8080/"),
            ("https://127.0.0.1/", "https://127.0.0.1/"),
        ] {
            let Target::Place(place, url) = led(location.as_bytes()) else {
                panic!("{location}");
            };
            let to = from(to);
            assert_eq!(
                (place.origin(), place.key()),
                (to.origin(), to.key()),
                "{location}"
            );
            let written = from(&url);
            assert_eq!(
                (written.origin(), written.url()),
                (place.origin(), place.url()),
                "{location}"
            );
        }
    }

    #[test]
    fn a_location_that_clients_read_differently_leads_nowhere() {
        for location in [
            "https:b/x",
            "https:/b/x",
            "https:///b/x",
            "///b/x",
            r"/\/b/x",
            "https://",
            "https://u@b/",
            "https://a@b:c@d/",
            "https://b%2ec/",
            "https://ｂ/",
            "https://bø/",
            "https://b c/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://127.1/",
            "https://[0:0:0:0:0:0:0:1]/",
            "https://b:0/",
            "https://b:99999/",
            "127.0.0.1:80/x",
            "1:x",
        ] {
            assert_eq!(led(location.as_bytes()), Target::Unclear, "{location}");
        }
        assert_eq!(led(b"/\xff\xfe"), led(b"/%FF%FE"));
        assert_eq!(led(b"https://\xff/"), Target::Unclear);
    }

    #[test]
    fn a_location_of_another_scheme_is_left_alone() {
        for location in ["mailto:x", "app://callback?code=1", "b:443/x"] {
            assert_eq!(led(location.as_bytes()), Target::Other, "{location}");
        }
    }
}
