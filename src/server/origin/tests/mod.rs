mod authorities;

use http::{Request, request::Parts};

use super::{uri::TargetError, *};
use crate::server::address::ForwardedBy;

pub(super) fn origins(texts: &[&str], accepted: &[&str]) -> Origins {
    let accepted: Vec<_> = accepted.iter().map(|text| (*text).to_owned()).collect();
    Origins::new(
        texts
            .iter()
            .map(|text| Origin::parse_insecure(text).unwrap())
            .collect(),
        &accepted,
    )
    .unwrap()
}

pub(super) fn head(uri: &str, lines: &[(&str, &str)]) -> Parts {
    let request = lines
        .iter()
        .fold(Request::builder().uri(uri), |request, (name, value)| {
            request.header(*name, *value)
        });
    request.body(()).unwrap().into_parts().0
}

#[track_caller]
pub(super) fn matching(lines: &[(&str, &str)], is_trusted_proxy: bool) -> Result<usize, bool> {
    matching_by(
        lines,
        is_trusted_proxy.then_some(ForwardedBy::XForwardedFor),
    )
}

#[track_caller]
pub(super) fn matching_by(
    lines: &[(&str, &str)],
    proxy: Option<ForwardedBy>,
) -> Result<usize, bool> {
    let origins = origins(
        &["https://api.example.com", "https://b.example:8443"],
        &["internal", "lb:8080"],
    );
    origins
        .matching(&head("/x", lines), proxy)
        .map_err(|error| error.is_malformed)
}

#[test]
fn an_origin_is_a_scheme_a_host_and_a_port() {
    for (text, origin, host) in [
        (
            "https://api.example.com",
            "https://api.example.com",
            "api.example.com",
        ),
        (
            "HTTPS://API.example.com:443",
            "https://api.example.com",
            "api.example.com",
        ),
        (
            "https://api.example.com:8443",
            "https://api.example.com:8443",
            "api.example.com",
        ),
        (
            "http://127.0.0.1:3000",
            "http://127.0.0.1:3000",
            "127.0.0.1",
        ),
        ("http://[::1]:80", "http://[::1]", "[::1]"),
        ("http://localhost:80", "http://localhost", "localhost"),
    ] {
        let parsed = Origin::parse(text).unwrap();
        assert_eq!((parsed.as_str(), parsed.host()), (origin, host));
    }
    for (text, part) in [
        ("api.example.com", "has no scheme"),
        ("ftp://api.example.com", "has another scheme"),
        ("https://api.example.com ", "has white space around it"),
        ("http://api.example.com", "is not secure"),
        ("http://127.0.0.1.evil.example", "is not secure"),
        ("https://api.example.com/", "no slash at the end"),
        ("https://api.example.com/v1/", "no slash at the end"),
        ("https://api.example.com//v1", "plain segments"),
        ("https://api.example.com/a/../b", "plain segments"),
        ("https://api.example.com/%76", "plain segments"),
        ("https://api.example.com?x", "more than an origin"),
        ("https://api.example.com#x", "more than an origin"),
        ("https://user@api.example.com", "more than an origin"),
        ("https://bücher.example", "is not ASCII"),
        ("https://a\"b", "has no proper host"),
        ("https://a b", "has no proper host"),
        ("https://a%20b", "has no proper host"),
        ("https://", "has no proper host"),
        ("https://a:0", "has no proper host"),
        ("https://a:65536", "has no proper host"),
        ("https://[::1", "has no proper host"),
        ("https://a..b", "has no proper host"),
        ("https://a.b.", "has a dot at the end of its name"),
        ("http://localhost.:3000", "has a dot at the end of its name"),
    ] {
        let error = Origin::parse(text).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("origin `{text}` ")) && error.contains(part),
            "{error}"
        );
    }
    assert!(Origin::parse_insecure("http://api.example.com").is_ok());
    assert!(
        Origins::new(Vec::new(), &[])
            .unwrap_err()
            .to_string()
            .contains("`.origin(")
    );
    let twice = vec![
        Origin::parse("https://a").unwrap(),
        Origin::parse("https://A:443").unwrap(),
    ];
    assert!(
        Origins::new(twice, &[])
            .unwrap_err()
            .to_string()
            .contains("twice")
    );
    assert!(
        Origins::new(
            vec![Origin::parse("https://a").unwrap()],
            &["x/y".to_owned()]
        )
        .is_err()
    );
}

#[test]
fn the_raw_target_keeps_its_spelling() {
    for (uri, target) in [
        ("/a/%2E%2e/B?x=%20&y", Ok("/a/%2E%2e/B?x=%20&y")),
        ("http://other/a?b", Ok("/a?b")),
        ("http://other", Ok("/")),
        ("http://other?b", Ok("/?b")),
        ("//evil/x", Err(TargetError::Target)),
        ("http://other//evil/x", Err(TargetError::Target)),
        ("*", Err(TargetError::Target)),
        ("other:443", Err(TargetError::Target)),
    ] {
        let found = raw_target(&head(uri, &[]));
        assert_eq!(
            found
                .as_ref()
                .map(|target| target.as_str())
                .map_err(|error| *error),
            target,
            "{uri}"
        );
    }
}

#[test]
fn a_target_cannot_change_the_origin() {
    for text in ["", ".evil.example/a", "@evil.example/a", "/a b"] {
        assert!(
            text.parse::<http::Uri>().is_err(),
            "{text} reaches no server"
        );
    }
    for bad in ["//evil.example/a", "evil.example:1", "*"] {
        assert_eq!(
            raw_target(&head(bad, &[])),
            Err(TargetError::Target),
            "{bad}"
        );
    }
    for text in ["https://evil.example/a", "http://u@evil.example/a", "/a#b"] {
        let target = raw_target(&head(text, &[])).unwrap();
        assert_eq!(target.as_str(), "/a", "{text}");
    }
}

#[cfg(feature = "axum")]
#[test]
fn the_route_of_reusable_access_has_the_prefix_of_its_nest() {
    let bound = |original: &str, inner: &str, pattern: &str| {
        let mut head = head(inner, &[]);
        head.extensions
            .insert(axum::extract::OriginalUri(original.parse().unwrap()));
        assert_eq!(original_uri(&head.extensions, &head.uri).path(), original);
        format!("{}{pattern}", prefix(&head))
    };
    assert_eq!(
        bound("/v1/weather/rome", "/weather/rome", "/weather/{city}"),
        "/v1/weather/{city}"
    );
    assert_eq!(bound("/v1", "/", "/"), "/v1/");
    assert_eq!(bound("/v1/", "/", "/"), "/v1/");
    assert_eq!(
        bound("/weather/rome", "/weather/rome", "/weather/{city}"),
        "/weather/{city}"
    );
    assert_eq!(
        bound("/old/rome", "/weather/rome", "/weather/{city}"),
        "/old/rome/weather/{city}"
    );
    assert_eq!(prefix(&head("/a/b", &[])), "");
    let plain = head("/a/b?c", &[]);
    assert_eq!(matched_path(&plain.extensions), None);
}

#[test]
fn what_a_trusted_proxy_says_of_the_scheme_is_a_scheme() {
    let says = |proto| {
        matching(
            &[("host", "api.example.com"), ("x-forwarded-proto", proto)],
            true,
        )
    };
    for good in ["https", "http, https", "a+b-c.d1", "", " "] {
        assert_eq!(says(good), Ok(0), "{good}");
    }
    for bad in ["https, ", ",", "1a", "a b", "https,,http", "a_b", "+"] {
        assert_eq!(says(bad), Err(true), "{bad}");
    }
}
