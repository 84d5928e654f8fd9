//! Which URLs can be bound. RFC 3986 is checked here, because `http::Uri` accepts more: `|`, `%zz`,
//! port 65536, and a fragment, which it drops silently.

use std::borrow::Cow;

use crate::codec::authority::{Authority, is_scheme};

/// Returns an absolute `http` or `https` URL as it is hashed: unchanged, except that an empty path
/// becomes `/`.
///
/// `None` if it cannot be bound: if it has a fragment, userinfo, a broken authority or escape, a
/// path that starts with `//`, or a character that RFC 3986 does not allow. `[` and `]` are
/// accepted in path and query.
pub(crate) fn http_url(text: &str) -> Option<Cow<'_, str>> {
    let (scheme, rest) = text.split_once("://")?;
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then_some(())?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    Authority::parse(authority)?;
    (!path.starts_with("//") && is_path_and_query(path)).then_some(())?;
    if path.starts_with('/') {
        return Some(Cow::Borrowed(text));
    }
    Some(Cow::Owned(format!("{scheme}://{authority}/{path}")))
}

/// Returns whether a text is an absolute URI of any scheme, without userinfo and fragment.
pub(super) fn is_absolute_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let scheme_fits = is_scheme(scheme.as_bytes());
    let Some(hierarchy) = rest.strip_prefix("//") else {
        return scheme_fits && !rest.is_empty() && is_path_and_query(rest);
    };
    let (authority, path) =
        hierarchy.split_at(hierarchy.find(['/', '?', '#']).unwrap_or(hierarchy.len()));
    scheme_fits && Authority::parse(authority).is_some() && is_path_and_query(path)
}

fn is_path_and_query(text: &str) -> bool {
    const ALLOWED: [bool; 128] = allowed(b"-._~!$&'()*+,;=:@/?[]");
    is_made_of(text, &ALLOWED)
}

/// Returns whether a text consists of these characters and complete escapes.
fn is_made_of(text: &str, allowed: &[bool; 128]) -> bool {
    let bytes = text.as_bytes();
    let is_escape = |at: usize| {
        bytes
            .get(at + 1..at + 3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let fits = |byte: u8| allowed.get(usize::from(byte)).copied().unwrap_or(false);
    bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| fits(*byte) || (*byte == b'%' && is_escape(at)))
}

/// Letters, digits and these.
const fn allowed(others: &[u8]) -> [bool; 128] {
    let (mut table, mut at) = ([false; 128], 0);
    while at < 128 {
        table[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    let mut other = 0;
    while other < others.len() {
        table[others[other] as usize] = true;
        other += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_path_is_a_slash_and_all_else_stays() {
        for (text, bound) in [
            ("https://api.example.com", "https://api.example.com/"),
            (
                "https://api.example.com?a=/b",
                "https://api.example.com/?a=/b",
            ),
            (
                "http://API.example.com:80/%2f/..//x",
                "http://API.example.com:80/%2f/..//x",
            ),
            (
                "https://[::1]:8443/a[0]?b[]=1",
                "https://[::1]:8443/a[0]?b[]=1",
            ),
            ("https://h:/", "https://h:/"),
        ] {
            assert_eq!(http_url(text).as_deref(), Some(bound), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_bound_is_refused() {
        for bad in [
            "",
            "/a",
            "//h/a",
            "ftp://h/",
            "https:/h/",
            "https:///a",
            "https://",
            "https://u@h/",
            "https://u:p@h/a",
            "https://h/#f",
            "https://h#f",
            "https://h:65536/",
            "https://h:0/",
            "https://h:x/",
            "https://h:+1/",
            "https://h//a",
            "https://h/a|b",
            "https://h/a\"b",
            "https://h/a\\b",
            "https://h/a^b",
            "https://h/a`b",
            "https://h/{b}",
            "https://h/<b>",
            "https://h/%zz",
            "https://h/%2",
            "https://h/a b",
            "https://h/é",
            "https://é/",
            "https://h/\u{7f}",
            "https://[::g]/",
            "https://[::1/",
            "https://[::1]x/",
            "https://[fe80::1%25eth0]/",
            "https://[v1.a]/",
            "https://a[::1]b/",
            "https://h%zz/",
        ] {
            assert_eq!(http_url(bad), None, "{bad}");
        }
    }
}
