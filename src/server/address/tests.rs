use http::Request;

use super::{proxies::Client, *};
use crate::payment::ResolvedClient;

fn key(text: &str) -> ClientKey {
    ClientKey::of(text.parse().unwrap())
}

#[track_caller]
fn client(header: ForwardedBy, peer: &str, lines: &[&str]) -> Client {
    let proxies = Proxies::parse(["10.0.0.0/8", "::1"], header).unwrap();
    let request = lines.iter().fold(Request::builder(), |request, line| {
        request.header(header.name(), *line)
    });
    let mut head = request.body(()).unwrap().into_parts().0;
    head.extensions
        .insert(ClientAddr::new(peer.parse().unwrap()));
    proxies.client(&head)
}

#[track_caller]
fn behind(lines: &[&str]) -> ClientKey {
    let client = client(ForwardedBy::XForwardedFor, "10.1.2.3", lines);
    assert!(client.is_behind_proxy);
    client.key
}

#[test]
fn a_strangers_word_about_its_address_is_not_read() {
    let client = client(ForwardedBy::XForwardedFor, "203.0.113.9", &["198.51.100.1"]);
    assert_eq!(
        client,
        Client {
            key: key("203.0.113.9"),
            address: ResolvedClient::new([203, 0, 113, 9].into()),
            is_behind_proxy: false
        }
    );
}

#[test]
fn a_trusted_proxys_word_is_read_from_the_right() {
    assert_eq!(behind(&["198.51.100.1"]), key("198.51.100.1"));
    assert_eq!(behind(&["1.1.1.1, 198.51.100.1"]), key("198.51.100.1"));
    assert_eq!(
        behind(&["1.1.1.1", "198.51.100.1, 10.9.9.9"]),
        key("198.51.100.1")
    );
    assert_eq!(behind(&["10.7.7.7, 10.8.8.8"]), key("10.7.7.7"));
    assert_eq!(behind(&["198.51.100.1:4711"]), key("198.51.100.1"));
    assert_eq!(behind(&["[2001:db8::1]:4711"]), key("2001:db8::1"));
    assert_eq!(behind(&["::ffff:10.8.8.8"]), key("10.8.8.8"));
    assert_eq!(behind(&[]), key("10.1.2.3"));
    for unreadable in [
        "unknown",
        "",
        "1.1.1.1, ",
        "1.1.1.1, _hidden",
        "1.1.1.1;2.2.2.2",
        "1.1.1.1, \u{e9}",
    ] {
        assert_eq!(behind(&[unreadable]), ClientKey::Unknown, "{unreadable}");
    }
    assert_eq!(behind(&[&"10.0.0.1,".repeat(100)]), ClientKey::Unknown);
    assert_eq!(
        behind(&[&format!("1.1.1.1{}", ", 10.0.0.1".repeat(100))]),
        key("10.0.0.1")
    );
    assert_eq!(
        client(ForwardedBy::XForwardedFor, "::1", &["198.51.100.1"]).key,
        key("198.51.100.1")
    );
    assert_eq!(
        client(
            ForwardedBy::XForwardedFor,
            "::ffff:10.1.1.1",
            &["198.51.100.1"]
        )
        .key,
        key("198.51.100.1")
    );
}

#[test]
fn forwarded_is_read_only_where_it_is_said() {
    let behind = |line: &str| client(ForwardedBy::Forwarded, "10.1.2.3", &[line]).key;
    assert_eq!(behind("for=198.51.100.1"), key("198.51.100.1"));
    assert_eq!(
        behind("for=1.1.1.1, proto=https; For=\"[2001:db8::1]:4711\" ;by=10.0.0.1"),
        key("2001:db8::1")
    );
    assert_eq!(behind("for=\", for=198.51.100.1"), key("198.51.100.1"));
    assert_eq!(behind("for=_hidden"), ClientKey::Unknown);
    assert_eq!(behind("by=1.1.1.1"), ClientKey::Unknown);
    let request = Request::builder()
        .header("forwarded", "for=1.1.1.1")
        .body(())
        .unwrap();
    let mut head = request.into_parts().0;
    head.extensions
        .insert(ClientAddr::new("10.1.2.3".parse().unwrap()));
    let proxies = Proxies::parse(["10.0.0.0/8"], ForwardedBy::XForwardedFor).unwrap();
    assert_eq!(proxies.client(&head).key, key("10.1.2.3"));
}

#[test]
fn one_network_of_64_bits_is_one_client() {
    assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
    assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    assert_eq!(key("::ffff:198.51.100.1"), key("198.51.100.1"));
    assert_ne!(key("198.51.100.1"), key("198.51.100.2"));
}

#[test]
fn a_client_of_ipv6_is_in_two_networks_that_have_shares() {
    let blocks = |text: &str| {
        key(text)
            .blocks()
            .map(|block| block.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        blocks("2001:db8:1:23ff::1"),
        ["2001:db8:1:2300::/56", "2001:db8:1::/48"]
    );
    assert_eq!(blocks("::ffff:198.51.100.1"), [""; 0]);
    assert_eq!(
        key("2001:db8:1:23ff::1").to_string(),
        "2001:db8:1:23ff::/64"
    );
}

#[test]
fn who_tells_no_address_is_unknown() {
    let head = Request::builder()
        .header("x-forwarded-for", "1.1.1.1")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    let unknown = Client {
        key: ClientKey::Unknown,
        address: ResolvedClient::UNKNOWN,
        is_behind_proxy: false,
    };
    assert_eq!(
        Proxies::parse(["10.0.0.0/8"], ForwardedBy::XForwardedFor)
            .unwrap()
            .client(&head),
        unknown
    );
}

#[cfg(feature = "axum")]
#[test]
fn axums_peer_is_the_client_unless_the_application_knows_better() {
    let mut head = Request::new(()).into_parts().0;
    head.extensions
        .insert(axum::extract::ConnectInfo(std::net::SocketAddr::from((
            [198, 51, 100, 1],
            80,
        ))));
    assert_eq!(Proxies::default().client(&head).key, key("198.51.100.1"));
    head.extensions
        .insert(ClientAddr::new("198.51.100.2".parse().unwrap()));
    assert_eq!(Proxies::default().client(&head).key, key("198.51.100.2"));
}

#[test]
fn with_proxies_of_any_address_the_client_is_the_hop_that_the_outermost_appended() {
    let resolved = |header: ForwardedBy, hops: usize, peer: Option<&str>, lines: &[&str]| {
        let none: [&str; 0] = [];
        let proxies = Proxies::parse(none, header)
            .unwrap()
            .with_hops(hops)
            .unwrap();
        let request = lines.iter().fold(Request::builder(), |request, line| {
            request.header(header.name(), *line)
        });
        let mut head = request.body(()).unwrap().into_parts().0;
        if let Some(peer) = peer {
            head.extensions
                .insert(ClientAddr::new(peer.parse().unwrap()));
        }
        let client = proxies.client(&head);
        assert!(client.is_behind_proxy);
        client.key
    };
    let x = ForwardedBy::XForwardedFor;
    for peer in [None, Some("10.1.2.3"), Some("203.0.113.9")] {
        assert_eq!(resolved(x, 1, peer, &["198.51.100.1"]), key("198.51.100.1"));
        assert_eq!(
            resolved(x, 1, peer, &["1.1.1.1, 198.51.100.1"]),
            key("198.51.100.1"),
            "what a client sends is further left"
        );
        assert_eq!(
            resolved(x, 2, peer, &["1.1.1.1", "198.51.100.1, 203.0.113.7"]),
            key("198.51.100.1")
        );
        for too_few in [
            &["198.51.100.1"][..],
            &["unknown"],
            &["_hidden, 203.0.113.7"],
        ] {
            assert_eq!(resolved(x, 2, peer, too_few), ClientKey::Unknown);
        }
        assert_eq!(
            resolved(
                ForwardedBy::Forwarded,
                2,
                peer,
                &["for=1.1.1.1, for=198.51.100.1;proto=https, for=203.0.113.7"]
            ),
            key("198.51.100.1")
        );
    }
    assert_eq!(
        resolved(x, 2, Some("10.1.2.3"), &[]),
        key("10.1.2.3"),
        "a health check"
    );
    assert_eq!(resolved(x, 2, None, &[]), ClientKey::Unknown);
}

#[test]
fn a_network_that_holds_the_clients_too_is_no_proxy() {
    for wide in [
        "0.0.0.0/0",
        "::/0",
        "0.0.0.0/1",
        "128.0.0.0/1",
        "8.0.0.0/7",
        "2000::/3",
        "::ffff:0:0/96",
        "::ffff:0.0.0.0/97",
        "fc00::/6",
        "8000::/1",
    ] {
        let parsed = Proxies::parse(["10.0.0.0/8", wide], ForwardedBy::default());
        let error = parsed.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("trusted proxy `{wide}`: "))
                && error.contains(".trusted_hops(..)"),
            "{error}"
        );
    }
    for fine in [
        "10.0.0.0/8",
        "fc00::/7",
        "fe80::/16",
        "2400:cb00::/32",
        "::1",
        "::ffff:10.0.0.0/104",
    ] {
        Proxies::parse([fine], ForwardedBy::default()).unwrap();
    }
    let mapped = Proxies::parse(["::ffff:10.0.0.0/104"], ForwardedBy::default()).unwrap();
    assert!(
        mapped.trusts("10.9.9.9".parse().unwrap()) && !mapped.trusts("11.0.0.1".parse().unwrap())
    );
}

#[test]
fn a_proxy_that_is_no_network_is_named() {
    let error = Proxies::parse(["10.0.0.0/8", "proxy.local"], ForwardedBy::default())
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "trusted proxy `proxy.local`: expected an address or a network, as in `10.0.0.0/8` or `::1`"
    );
    assert!(Proxies::parse(["10.0.0.0/33"], ForwardedBy::default()).is_err());
}
