//! Keeps shared caches from storing answers that one client bought.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Returns whether a header is for shared caches only. Most of them prefer it to `Cache-Control`.
///
/// These are all targeted fields of RFC 9213 (`CDN-Cache-Control`, `Cloudflare-CDN-Cache-Control`,
/// `Akamai-Cache-Control`, `X-LiteSpeed-Cache-Control`), and older ones. Fields that only name an
/// answer for a later purge (`Surrogate-Key`, `Cache-Tag`) permit nothing.
pub(in crate::server) fn is_for_shared_caches(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.ends_with("-cache-control")
        || matches!(
            name,
            "edge-control" | "surrogate-control" | "x-accel-expires" | "x-reverse-proxy-ttl"
        )
}

/// Changes the headers so that shared caches do not serve to others what one client bought.
pub(in crate::server) fn keep_private(headers: &mut HeaderMap) {
    while let Some(name) = headers
        .keys()
        .find(|name| is_for_shared_caches(name))
        .cloned()
    {
        headers.remove(name);
    }
    let value = private_directives(headers).unwrap_or(HeaderValue::from_static("no-store"));
    headers.insert(header::CACHE_CONTROL, value);
}

/// Returns the handler's `Cache-Control` without what lets shared caches keep the answer, and with
/// `private`. Returns `None` if caches could read it in different ways.
fn private_directives(headers: &HeaderMap) -> Option<HeaderValue> {
    let (mut kept, mut is_private, mut is_understood) = (Vec::new(), false, false);
    for value in headers.get_all(header::CACHE_CONTROL) {
        let mut is_quoted = false;
        let is_comma = |byte: &u8| {
            is_quoted ^= *byte == b'"';
            *byte == b',' && !is_quoted
        };
        let directives: Vec<_> = value
            .as_bytes()
            .split(is_comma)
            .map(<[u8]>::trim_ascii)
            .collect();
        // After an open quote, `private` would become part of a text. Whether a quote is open
        // depends on how a cache reads escapes.
        if is_quoted || value.as_bytes().contains(&b'\\') {
            return None;
        }
        for directive in directives {
            let name = directive
                .split(|byte| *byte == b'=')
                .next()
                .unwrap_or_default()
                .trim_ascii();
            let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
            if directive.is_empty() || is("public") || is("s-maxage") {
                continue;
            }
            // `private="field"` covers only that field, so it does not count.
            is_private |= directive.eq_ignore_ascii_case(b"private") || is("no-store");
            // A cache that knows it may store what says `no-store` (RFC 9111, "must-understand").
            is_understood |= is("must-understand");
            kept.push(directive);
        }
    }
    if kept.is_empty() {
        return Some(HeaderValue::from_static("private"));
    }
    if !is_private || is_understood {
        kept.push(b"private");
    }
    HeaderValue::from_bytes(&kept.join(&b", "[..])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_caches_are_kept_out() {
        for (given, kept) in [
            (&[][..], "private"),
            (&["public, max-age=60"], "max-age=60, private"),
            (&["PUBLIC", "s-maxage = 9, no-store"], "no-store"),
            (&["private, max-age=1"], "private, max-age=1"),
            (
                &["private=\"set-cookie\""],
                "private=\"set-cookie\", private",
            ),
            (
                &["max-age=9, ext=\"a, private, no-store\""],
                "max-age=9, ext=\"a, private, no-store\", private",
            ),
            (
                &["ext=\"a, public, b\", Public"],
                "ext=\"a, public, b\", private",
            ),
            (&["max-age=9", "ext=\"a"], "no-store"),
            (&["ext=\"a\\\", private, b\""], "no-store"),
            (
                &["no-store, must-understand"],
                "no-store, must-understand, private",
            ),
            (
                &["must-revalidate, proxy-revalidate", "immutable"],
                "must-revalidate, proxy-revalidate, immutable, private",
            ),
        ] {
            let mut headers = HeaderMap::new();
            for value in given {
                headers.append(header::CACHE_CONTROL, HeaderValue::from_static(value));
            }
            for name in [
                "x-accel-expires",
                "cdn-cache-control",
                "cloudflare-cdn-cache-control",
                "vercel-cdn-cache-control",
                "netlify-cdn-cache-control",
                "akamai-cache-control",
                "x-litespeed-cache-control",
                "edge-control",
                "surrogate-control",
                "x-reverse-proxy-ttl",
            ] {
                headers.append(name, HeaderValue::from_static("max-age=60"));
                headers.append(name, HeaderValue::from_static("public"));
            }
            headers.insert("cache-tag", HeaderValue::from_static("a"));
            headers.insert(header::EXPIRES, HeaderValue::from_static("0"));
            keep_private(&mut headers);
            assert_eq!(headers.len(), 3, "{headers:?}");
            assert_eq!(headers[header::CACHE_CONTROL], kept);
            assert_eq!(headers.get_all(header::CACHE_CONTROL).iter().count(), 1);
        }
    }
}
