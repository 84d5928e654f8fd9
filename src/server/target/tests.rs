use http::{Request, request::Parts};

use super::{uri::TargetError, *};

fn origins(texts: &[&str], accepted: &[&str]) -> Origins {
    let accepted: Vec<_> = accepted.iter().map(|text| (*text).to_owned()).collect();
    Origins::new(texts.iter().map(|text| Origin::parse_insecure(text).unwrap()).collect(), &accepted).unwrap()
}

fn head(uri: &str, lines: &[(&str, &str)]) -> Parts {
    let request = lines.iter().fold(Request::builder().uri(uri), |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap().into_parts().0
}

#[track_caller]
fn asked_for(lines: &[(&str, &str)], is_trusted_proxy: bool) -> Result<usize, bool> {
    let origins = origins(&["https://api.example.com", "https://b.example:8443"], &["internal", "lb:8080"]);
    origins.matching(&head("/x", lines), is_trusted_proxy).map_err(|error| error.is_malformed)
}

#[test]
fn an_origin_is_a_scheme_a_host_and_a_port() {
    for (text, origin, host) in [
        ("https://api.example.com", "https://api.example.com", "api.example.com"),
        ("HTTPS://API.example.com:443", "https://api.example.com", "api.example.com"),
        ("https://api.example.com:8443", "https://api.example.com:8443", "api.example.com"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000", "127.0.0.1"),
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
        ("https://api.example.com/", "no slash after the name"),
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
    ] {
        let error = Origin::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("origin `{text}` ")) && error.contains(part), "{error}");
    }
    assert!(Origin::parse_insecure("http://api.example.com").is_ok());
    assert!(Origins::new(Vec::new(), &[]).unwrap_err().to_string().contains("`.origin("));
    let twice = vec![Origin::parse("https://a").unwrap(), Origin::parse("https://A:443").unwrap()];
    assert!(Origins::new(twice, &[]).unwrap_err().to_string().contains("twice"));
    assert!(Origins::new(vec![Origin::parse("https://a").unwrap()], &["x/y".to_owned()]).is_err());
}

#[test]
fn a_request_is_for_the_origin_that_it_names() {
    assert_eq!(asked_for(&[], false), Ok(0));
    assert_eq!(asked_for(&[("host", "API.EXAMPLE.COM")], false), Ok(0));
    assert_eq!(asked_for(&[("host", "api.example.com:443")], false), Ok(0));
    assert_eq!(asked_for(&[("host", "b.example:8443")], false), Ok(1));
    assert_eq!(asked_for(&[("host", "127.0.0.1:9999")], false), Ok(0));
    assert_eq!(asked_for(&[("host", "[::1]")], false), Ok(0));
    assert_eq!(asked_for(&[("host", "localhost:1")], false), Ok(0));
    assert_eq!(asked_for(&[("host", "internal:80")], false), Ok(0));
    assert_eq!(asked_for(&[("host", "lb:8080")], false), Ok(0));
    assert_eq!(asked_for(&[("host", "internal, b.example:8443")], false), Ok(1));
    assert_eq!(asked_for(&[("host", "evil.example"), ("host", "b.example:8443")], false), Ok(1));
    let origins = origins(&["https://a", "https://b"], &[]);
    assert_eq!(origins.matching(&head("http://b/x", &[("host", "c")]), false), Ok(1));
    assert_eq!(origins.all().len(), 2);
}

#[test]
fn a_name_that_is_not_ours_is_misdirected() {
    for host in [
        "evil.example",
        "api.example.com:80",
        "api.example.com.",
        "b.example",
        "lb",
        "lb:80",
        "internal:8080",
        "127.0.0.1.nip.io",
        "com",
        "example.com",
        "i.example.com",
        ".example.com",
        "example:8443",
    ] {
        assert_eq!(asked_for(&[("host", host)], true), Err(false), "{host}");
    }
    let error = origins(&["https://a"], &[]).matching(&head("/x", &[("host", "evil")]), false).unwrap_err().to_string();
    assert!(error.contains("https://a") && error.contains("`accept_authority`"), "{error}");
    assert!(!error.contains("evil"));
}

#[test]
fn what_is_no_authority_is_misdirected_even_beside_a_good_one() {
    for bad in [
        "",
        "api.example.com?query=",
        "api.example.com\\other",
        "api.example.com:bad",
        "api.example.com:65536",
        "api.example.com:+80",
        "api.example.com:0",
        "api.example.com:0443",
        "api.example.com:000443",
        "foo[::1]bar",
        "[::1]bar",
        "[::1",
        "::1",
        "user@api.example.com",
        "api.example.com%zz",
        "api.example.com/x",
        "api.example.com#x",
        "a b",
        "api.example.com,",
        "//api.example.com",
        "/api.example.com",
        "https://api.example.com",
        "s://api.example.com",
    ] {
        assert_eq!(asked_for(&[("host", "api.example.com"), ("host", bad)], false), Err(true), "{bad}");
        let forwarded = [("host", "api.example.com"), ("x-forwarded-host", bad)];
        assert_eq!(asked_for(&forwarded, true), Err(true), "{bad}");
        assert_eq!(asked_for(&forwarded, false), Ok(0), "{bad}");
    }
    for proto in ["https://api.example.com/path?", "https, ", "", "1x"] {
        assert_eq!(asked_for(&[("x-forwarded-proto", proto)], true), Err(true), "{proto}");
    }
    assert_eq!(asked_for(&[("x-forwarded-proto", "https, http")], true), Ok(0));
    let userinfo = head("http://user@api.example.com/x", &[]);
    assert!(origins(&["https://api.example.com"], &[]).matching(&userinfo, false).unwrap_err().is_malformed);
}

#[test]
fn only_a_trusted_proxy_is_asked_for_the_forwarded_host() {
    let lines = [("host", "evil.example"), ("x-forwarded-host", "proxy:8080, b.example:8443")];
    assert_eq!(asked_for(&lines, true), Ok(1));
    assert_eq!(asked_for(&lines, false), Err(false));
}

#[test]
fn the_raw_target_keeps_its_spelling() {
    for (uri, target) in [
        ("/a/%2E%2e/B?x=%20&y", Ok("/a/%2E%2e/B?x=%20&y")),
        ("http://other/a?b", Ok("/a?b")),
        ("http://other", Ok("/")),
        ("http://other?b", Ok("/?b")),
        ("//evil/x", Err(TargetError)),
        ("http://other//evil/x", Err(TargetError)),
        ("*", Err(TargetError)),
        ("other:443", Err(TargetError)),
    ] {
        let found = super::asked_for(&head(uri, &[]));
        assert_eq!(found.as_ref().map(|target| target.as_str()).map_err(|error| *error), target, "{uri}");
    }
}

#[cfg(feature = "axum")]
#[test]
fn the_route_of_reusable_access_has_the_prefix_of_its_nest() {
    let bound = |original: &str, inner: &str, pattern: &str| {
        let mut head = head(inner, &[]);
        head.extensions.insert(axum::extract::OriginalUri(original.parse().unwrap()));
        assert_eq!(original_uri(&head.extensions, &head.uri).path(), original);
        route(&head, pattern).unwrap_or(pattern.to_owned())
    };
    assert_eq!(bound("/v1/weather/rome", "/weather/rome", "/weather/{city}"), "/v1/weather/{city}");
    assert_eq!(bound("/v1", "/", "/"), "/v1/");
    assert_eq!(bound("/v1/", "/", "/"), "/v1/");
    assert_eq!(bound("/weather/rome", "/weather/rome", "/weather/{city}"), "/weather/{city}");
    assert_eq!(bound("/old/rome", "/weather/rome", "/weather/{city}"), "/old/rome/weather/{city}");
    assert_eq!(route(&head("/a/b", &[]), "/a/{x}"), None);
    let plain = head("/a/b?c", &[]);
    assert_eq!(matched_path(&plain.extensions), None);
}

#[test]
fn a_name_that_is_no_address_and_no_name_is_malformed() {
    for (host, is_malformed) in [
        ("[::1]", false),
        ("[2001:db8::1]:443", true),
        ("[zz]", true),
        ("[::1", true),
        ("a%4", true),
        ("a%4g", true),
        ("a%", true),
        ("a b", true),
        ("a/b", true),
    ] {
        let answer = asked_for(&[("host", host)], false);
        if host == "[2001:db8::1]:443" {
            assert_eq!(answer, Err(false), "well formed, and not ours");
        } else if is_malformed {
            assert_eq!(answer, Err(true), "{host}");
        } else {
            assert_eq!(answer, Ok(0), "{host}");
        }
    }
    assert_eq!(asked_for(&[("host", "a%41%4a")], false), Err(false), "well formed, and not ours");
}

#[test]
fn what_a_trusted_proxy_says_of_the_scheme_is_a_scheme() {
    let says = |proto| asked_for(&[("host", "api.example.com"), ("x-forwarded-proto", proto)], true);
    for good in ["https", "http, https", "a+b-c.d1"] {
        assert_eq!(says(good), Ok(0), "{good}");
    }
    for bad in ["", "1a", "a b", "https,,http", "a_b", "+"] {
        assert_eq!(says(bad), Err(true), "{bad}");
    }
}

#[test]
fn two_origins_of_ours_in_one_request_are_nobodys() {
    let lines = |first, second| asked_for(&[("host", first), ("x-forwarded-host", second)], true);
    assert_eq!(lines("api.example.com", "b.example:8443"), Err(false));
    assert_eq!(lines("internal", "b.example:8443"), Ok(1), "the name of an origin goes before one that is accepted");
    assert_eq!(lines("b.example:8443", "internal"), Ok(1));
    assert_eq!(lines("b.example:8443", "other.example"), Ok(1));
    assert_eq!(asked_for(&[], false), Ok(0), "none is named");
}

#[cfg(feature = "x402")]
#[test]
fn the_server_and_the_binding_of_x402_read_every_authority_alike() {
    use crate::dialect::x402::{PublicOrigin, Reason};

    let ours = origins(&["https://api.example.com"], &["internal", "lb:8080"]);
    let bound = PublicOrigin::new("https://api.example.com").with_accepted(&["internal", "lb:8080"]);
    let hosts = ["api.example.com", "API.example.COM", "api.example.com.", "internal", "lb", "evil.example", "[2001:db8::1]", ""];
    let ports =
        ["", ":", ":80", ":443", ":8080", ":0", ":00", ":080", ":0443", ":000443", ":65536", ":+443", ":443x", ":443:443", " "];
    let mut counted = [0; 3];
    for host in hosts.iter().flat_map(|host| ports.iter().map(move |port| format!("{host}{port}"))) {
        for host in [host.clone(), format!("user@{host}"), format!("{host}/"), format!("internal, {host}")] {
            let lines = [("host", host.as_str())];
            let asked = ours.matching(&head("/x", &lines), false).map_err(|error| error.is_malformed);
            let url = bound.bound_url([("host", host.as_bytes())], "/x");
            let same = match &url {
                Ok(url) => asked.is_ok() && url == "https://api.example.com/x",
                Err(reason) => asked == Err(*reason == Reason::RequestBinding),
            };
            assert!(same, "{host:?}: {asked:?}, {url:?}");
            counted[asked.map_or_else(usize::from, |_| 2)] += 1;
        }
    }
    assert!(counted.iter().all(|count| *count > 10), "{counted:?}");
}
