use super::{head, matching, origins};

#[test]
fn a_request_is_for_the_origin_that_it_names() {
    assert_eq!(matching(&[], false), Ok(0));
    assert_eq!(matching(&[("host", "API.EXAMPLE.COM")], false), Ok(0));
    assert_eq!(matching(&[("host", "api.example.com:443")], false), Ok(0));
    assert_eq!(matching(&[("host", "b.example:8443")], false), Ok(1));
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
        origins.matching(&head("http://b/x", &[("host", "c")]), false),
        Ok(1)
    );
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
        assert_eq!(matching(&[("host", host)], true), Err(false), "{host}");
    }
    let error = origins(&["https://a"], &[])
        .matching(&head("/x", &[("host", "evil")]), false)
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
        assert_eq!(matching(&forwarded, true), Err(true), "{bad}");
        assert_eq!(matching(&forwarded, false), Ok(0), "{bad}");
    }
    for proto in ["https://api.example.com/path?", "https, ", "", "1x"] {
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
            .matching(&userinfo, false)
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
    assert_eq!(with_internal.matching(&head("/a", &lines), false), Ok(0));
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
        ("api.example.com.", &[]),
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
                .matching(&head("/x", &[("host", host.as_str())]), false)
                .map_err(|error| error.is_malformed);
            assert_eq!(found, expected, "{host:?}");
            counted[found.map_or_else(usize::from, |_| 2)] += 1;
        }
    }
    assert!(counted.iter().all(|count| *count > 10), "{counted:?}");
}
