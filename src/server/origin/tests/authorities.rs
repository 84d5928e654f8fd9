use super::{head, matching, matching_by, origins};
use crate::server::address::ForwardedBy;

#[test]
fn a_request_is_for_the_origin_that_it_names() {
    assert_eq!(matching(&[], false), Ok(0));
    assert_eq!(matching(&[("host", "API.EXAMPLE.COM")], false), Ok(0));
    assert_eq!(matching(&[("host", "api.example.com:443")], false), Ok(0));
    assert_eq!(matching(&[("host", "b.example:8443")], false), Ok(1));
    assert_eq!(matching(&[("host", "api.example.com.")], false), Ok(0));
    assert_eq!(matching(&[("host", "B.example.:8443")], false), Ok(1));
    assert_eq!(matching(&[("host", "lb.:8080")], false), Ok(0));
    assert_eq!(matching(&[("host", "127.0.0.1:9999")], false), Ok(0));
    assert_eq!(matching(&[("host", "[::1]")], false), Ok(0));
    assert_eq!(matching(&[("host", "localhost:1")], false), Ok(0));
    assert_eq!(matching(&[("host", "internal:80")], false), Ok(0));
    assert_eq!(matching(&[("host", "lb:8080")], false), Ok(0));
    assert_eq!(
        matching(&[("host", "internal, b.example:8443")], false),
        Ok(1)
    );
    assert_eq!(
        matching(
            &[("host", "evil.example"), ("host", "b.example:8443")],
            false
        ),
        Ok(1)
    );
    let origins = origins(&["https://a", "https://b"], &[]);
    assert_eq!(
        origins.matching(&head("http://b/x", &[("host", "c")]), None),
        Ok(1)
    );
    assert_eq!(origins.all().count(), 2);
}

#[test]
fn a_name_that_is_not_ours_is_misdirected() {
    for host in [
        "evil.example",
        "api.example.com:80",
        "api.example.com..",
        "api.example.com.:80",
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
        assert_eq!(matching(&[("host", host)], true), Err(false), "{host}");
    }
    let error = origins(&["https://a"], &[])
        .matching(&head("/x", &[("host", "evil")]), None)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("https://a") && error.contains("send it there"),
        "{error}"
    );
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
        assert_eq!(
            matching(&[("host", "api.example.com"), ("host", bad)], false),
            Err(true),
            "{bad}"
        );
        let forwarded = [("host", "api.example.com"), ("x-forwarded-host", bad)];
        let is_said = !bad.is_empty();
        let expected = if is_said { Err(true) } else { Ok(0) };
        assert_eq!(matching(&forwarded, true), expected, "{bad}");
        assert_eq!(matching(&forwarded, false), Ok(0), "{bad}");
    }
    for proto in ["https://api.example.com/path?", "https, ", "1x"] {
        assert_eq!(
            matching(&[("x-forwarded-proto", proto)], true),
            Err(true),
            "{proto}"
        );
    }
    assert_eq!(
        matching(&[("x-forwarded-proto", "https, http")], true),
        Ok(0)
    );
    let userinfo = head("http://user@api.example.com/x", &[]);
    assert!(
        origins(&["https://api.example.com"], &[])
            .matching(&userinfo, None)
            .unwrap_err()
            .is_malformed
    );
}

#[test]
fn only_a_trusted_proxy_is_asked_for_the_forwarded_host() {
    let lines = [
        ("host", "evil.example"),
        ("x-forwarded-host", "proxy:8080, b.example:8443"),
    ];
    assert_eq!(matching(&lines, true), Ok(1));
    assert_eq!(matching(&lines, false), Err(false));

    let lines = [
        ("host", "internal:8080"),
        ("x-forwarded-host", "api.example.com:443"),
        ("x-forwarded-proto", "//"),
    ];
    assert_eq!(matching(&lines, false), Err(false));
    assert_eq!(matching(&lines, true), Err(true));
    assert_eq!(matching(&lines[..2], true), Ok(0));
    let with_internal = origins(&["https://api.example.com"], &["internal:8080"]);
    assert_eq!(with_internal.matching(&head("/a", &lines), None), Ok(0));
}

#[test]
fn an_empty_field_of_a_proxy_says_nothing() {
    for (name, value) in [
        ("x-forwarded-host", ""),
        ("x-forwarded-host", " "),
        ("x-forwarded-proto", ""),
        ("x-forwarded-proto", "\t"),
    ] {
        let beside = |host| matching(&[("host", host), (name, value)], true);
        assert_eq!(beside("api.example.com"), Ok(0), "{name}: {value:?}");
        assert_eq!(beside("b.example:8443"), Ok(1), "{name}: {value:?}");
        assert_eq!(beside("evil.example"), Err(false), "{name}: {value:?}");
    }
    assert_eq!(matching(&[("x-forwarded-proto", "")], true), Ok(0));
    // An empty hop beside others is a mistake, and so is an empty host that nothing else names.
    for lines in [
        &[("x-forwarded-host", "")][..],
        &[
            ("host", "internal"),
            ("x-forwarded-host", "b.example:8443,"),
        ],
        &[("host", "internal"), ("x-forwarded-proto", "https,")],
    ] {
        assert_eq!(matching(lines, true), Err(true), "{lines:?}");
    }
}

#[test]
fn the_host_in_forwarded_is_read_if_the_proxies_write_that() {
    let (forwarded, other) = (ForwardedBy::Forwarded, ForwardedBy::XForwardedFor);
    for (line, expected) in [
        ("for=192.0.2.1;host=api.example.com;proto=https", Ok(0)),
        ("for=192.0.2.1; Host=\"b.example:8443\"", Ok(1)),
        (
            "host=evil.example, for=192.0.2.1;host=\"b.example:8443\"",
            Ok(1),
        ),
        ("host=API.example.com.", Ok(0)),
        ("host=evil.example", Err(false)),
        ("host=;for=192.0.2.1", Err(false)),
        ("host=\"\"", Err(false)),
        ("for=192.0.2.1", Err(false)),
        ("host=\"api.example.com", Err(true)),
        ("host=user@api.example.com", Err(true)),
        ("host=api.example.com;proto=//", Err(true)),
    ] {
        let lines = [("host", "backend"), ("forwarded", line)];
        assert_eq!(matching_by(&lines, Some(forwarded)), expected, "{line}");
        for unread in [Some(other), None] {
            assert_eq!(matching_by(&lines, unread), Err(false), "{line}");
        }
        let beside_ours = [("host", "api.example.com"), ("forwarded", line)];
        assert_eq!(matching_by(&beside_ours, Some(other)), Ok(0), "{line}");
    }
    let line = [("forwarded", "host=")];
    assert_eq!(matching_by(&line, Some(forwarded)), Ok(0));
}

#[test]
fn the_loopback_names_of_one_origin_stand_for_each_other_at_its_port() {
    let found = |origins: &[&str], accepted: &[&str], host: &str| {
        let origins = super::origins(origins, accepted);
        let index = origins.matching(&head("/x", &[("host", host)]), None);
        let (name, keyed) = origins.all().nth(index.unwrap()).unwrap();
        (name.as_str().to_owned(), keyed.as_str().to_owned())
    };
    let is = |found: (String, String), name: &str, keyed: &str| {
        assert_eq!((found.0.as_str(), found.1.as_str()), (name, keyed));
    };
    let one = "http://127.0.0.1:3000";
    is(
        found(&[one], &[], "localhost:3000"),
        "http://localhost:3000",
        one,
    );
    is(
        found(&[one], &[], "LOCALHOST.:3000"),
        "http://localhost:3000",
        one,
    );
    is(found(&[one], &[], "[::1]:3000"), "http://[::1]:3000", one);
    is(found(&[one], &[], "127.0.0.1:3000"), one, one);
    is(found(&[one], &[], "localhost:8080"), one, one);
    is(found(&[one], &[], "localhost"), one, one);
    let name = "http://localhost";
    is(
        found(&[name], &[], "127.0.0.1:80"),
        "http://127.0.0.1",
        name,
    );
    is(found(&[name, one], &[], "127.0.0.1:3000"), one, one);
    is(
        found(&[one, "http://localhost:3000"], &[], "localhost:3000"),
        "http://localhost:3000",
        "http://localhost:3000",
    );
    let public = "https://api.example.com";
    is(found(&[public], &[], "localhost:443"), public, public);
    // A proxy in front may use a loopback name for what was asked of the public origin.
    is(found(&[public, one], &[], "localhost:3000"), public, public);
    is(found(&[public, one], &[], "127.0.0.1:3000"), one, one);
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
        let answer = matching(&[("host", host)], false);
        if host == "[2001:db8::1]:443" {
            assert_eq!(answer, Err(false), "well formed, and not ours");
        } else if is_malformed {
            assert_eq!(answer, Err(true), "{host}");
        } else {
            assert_eq!(answer, Ok(0), "{host}");
        }
    }
    assert_eq!(
        matching(&[("host", "a%41%4a")], false),
        Err(false),
        "well formed, and not ours"
    );
}

#[test]
fn two_origins_of_ours_in_one_request_are_nobodys() {
    let lines = |first, second| matching(&[("host", first), ("x-forwarded-host", second)], true);
    assert_eq!(lines("api.example.com", "b.example:8443"), Err(false));
    assert_eq!(
        lines("internal", "b.example:8443"),
        Ok(1),
        "the name of an origin goes before one that is accepted"
    );
    assert_eq!(lines("b.example:8443", "internal"), Ok(1));
    assert_eq!(lines("b.example:8443", "other.example"), Ok(1));
    assert_eq!(matching(&[], false), Ok(0), "none is named");
}

#[test]
fn every_host_and_port_is_ours_or_misdirected_or_malformed() {
    let ours = origins(&["https://api.example.com"], &["internal", "lb:8080"]);
    let any_port = ["", ":", ":80", ":443", ":8080"];
    // Each host, and the ports at which it is ours.
    let hosts: [(&str, &[&str]); 8] = [
        ("api.example.com", &["", ":", ":443"]),
        ("API.example.COM", &["", ":", ":443"]),
        ("api.example.com.", &["", ":", ":443"]),
        ("internal", &["", ":", ":80", ":443"]),
        ("lb", &[":8080"]),
        ("evil.example", &[]),
        ("[2001:db8::1]", &[]),
        ("", &[]),
    ];
    let malformed_ports = [
        ":0", ":00", ":080", ":0443", ":000443", ":65536", ":+443", ":443x", ":443:443",
    ];
    let mut counted = [0; 3];
    for (host, port, expected) in hosts.iter().flat_map(|(host, ours)| {
        let well_formed = any_port.iter().map(move |port| {
            let expected = match ours.contains(port) {
                _ if host.is_empty() => Err(true),
                true => Ok(0),
                false => Err(false),
            };
            (host, port, expected)
        });
        let malformed = malformed_ports
            .iter()
            .map(move |port| (host, port, Err(true)));
        well_formed.chain(malformed)
    }) {
        let beside_ours = expected.or_else(|is_malformed| match is_malformed {
            true => Err(true),
            false => Ok(0),
        });
        for (host, expected) in [
            (format!("{host}{port}"), expected),
            // White space around a hop is no part of it.
            (format!("{host}{port} "), expected),
            (format!("user@{host}{port}"), Err(true)),
            (format!("{host}{port}/"), Err(true)),
            (format!("internal, {host}{port}"), beside_ours),
        ] {
            let found = ours
                .matching(&head("/x", &[("host", host.as_str())]), None)
                .map_err(|error| error.is_malformed);
            assert_eq!(found, expected, "{host:?}");
            counted[found.map_or_else(usize::from, |_| 2)] += 1;
        }
    }
    assert!(counted.iter().all(|count| *count > 10), "{counted:?}");
}
