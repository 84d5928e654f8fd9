//! Addresses and names that only exist in private networks.

use std::net::IpAddr;
#[cfg(feature = "__rest")]
use std::net::{Ipv4Addr, Ipv6Addr};

#[cfg(feature = "__rest")]
use super::authority::Authority;

/// Returns whether an address is loopback, link-local, or of a network that no client on the
/// internet has: RFC 1918, RFC 6598, unique local addresses.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Names that end like this are not in the public DNS (RFC 6762, RFC 8375, and ICANN's decision on
/// `internal`), or are often used in a network at home.
#[cfg(feature = "__rest")]
const ENDINGS: [&str; 4] = [".home.arpa", ".internal", ".lan", ".local"];

/// Returns whether a host is a private address or a name of a private network: one word, as in a
/// network of containers, or a name with one of [`ENDINGS`].
#[cfg(feature = "__rest")]
pub(crate) fn is_private_host(authority: &Authority<'_>) -> bool {
    let host = authority.host().to_ascii_lowercase();
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        let address = address.parse::<Ipv6Addr>();
        return address.is_ok_and(|v6| is_private(v6.to_canonical()));
    }
    if let Ok(v4) = host.parse::<Ipv4Addr>() {
        return is_private(v4.into());
    }
    // A number such as 134744072 or 0x8080808 is an address for some resolvers.
    let is_word = host.starts_with(|first: char| first.is_ascii_alphabetic())
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    is_word || ENDINGS.iter().any(|ending| host.ends_with(ending))
}

#[cfg(all(test, feature = "__rest"))]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_private_only_if_no_public_one_can_have_its_name() {
        let is = |host: &str| is_private_host(&Authority::parse(host).unwrap());
        for host in [
            "127.0.0.1",
            "10.0.0.5:8080",
            "172.31.255.255",
            "192.168.1.2",
            "169.254.1.1",
            "100.64.0.1",
            "[::1]",
            "[fd00::1]:80",
            "[fe80::1]",
            "[::ffff:10.0.0.5]",
            "lnbits",
            "lnd_1:8080",
            "Umbrel.Local",
            "host.docker.internal:9740",
            "node.lan",
        ] {
            assert!(is(host), "{host}");
        }
        for host in [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "[2001:db8::1]",
            "[::ffff:8.8.8.8]",
            "134744072",
            "0x8080808",
            "0.0.0.0",
            "example.com",
            "10.0.0.5.example.com",
            "local.example.com",
            "notlocal.com",
            "lnbits.",
            "a%2eb",
        ] {
            assert!(!is(host), "{host}");
        }
    }
}
