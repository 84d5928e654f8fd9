//! Which addresses a request may go to: not to those inside a network, unless that is allowed.

use std::{
    error::Error,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The error of a guarded resolver for a name without a public address.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the name resolves to no public address: allow it with `allow_private_addresses`, and with a resolver that is not guarded",
        )
    }
}

impl Error for NotPublic {}

/// Returns whether an address is one of the public Internet. Private, shared, link-local, loopback,
/// multicast, documentation and reserved addresses are not, in whatever IPv6 form they are wrapped.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The IPv4 blocks that are not of the public Internet (IANA, "IPv4 Special-Purpose Address
/// Registry"), and multicast: the first address and the length of the prefix.
const NOT_PUBLIC_V4: &[([u8; 4], u32)] = &[
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_in = |(first, length): &([u8; 4], u32)| {
        let shift = 32 - length;
        u32::from_be_bytes(*first) >> shift == address.to_bits() >> shift
    };
    !NOT_PUBLIC_V4.iter().any(is_in)
}

/// Only `2000::/3` is assigned to the public Internet. Of it, `2001::/23` is for protocols (Teredo is
/// one), `2001:db8::/32` and `3fff::/20` are for documentation, and `2002::/16` wraps IPv4 addresses
/// (6to4).
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    match address.segments() {
        // An IPv4 address, mapped or translated (NAT64).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => {
            a & 0xe000 == 0x2000
                && !(a == 0x2001 && (b < 0x200 || b == 0xdb8))
                && a != 0x2002
                && !(a == 0x3fff && b < 0x1000)
        }
    }
}

/// The kind of address that the name of a host stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leads {
    /// To this machine.
    Home,
    /// To an address that is not public, or in a spelling that resolvers read in several ways.
    Inside,
    /// To a public address.
    Outside,
    /// That depends on what the name resolves to.
    Open,
}

/// Returns the kind of address of a host in lower case, without resolving its name.
pub(super) fn leads(host: &str) -> Leads {
    let host = host.trim_end_matches('.');
    let literal = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .map_or_else(
            || host.parse().map(IpAddr::V4),
            |v6| v6.parse().map(IpAddr::V6),
        );
    if let Ok(address) = literal {
        return match address {
            _ if address.is_loopback() => Leads::Home,
            _ if is_public(address) => Leads::Outside,
            _ => Leads::Inside,
        };
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = |label: &str| match label.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match () {
        () if last == "localhost" => Leads::Home,
        // `2130706433` and `0x7f.1` are 127.0.0.1 to some resolvers. No top-level domain is a number.
        () if is_number(last) || !host.bytes().all(is_plain) => Leads::Inside,
        () => Leads::Open,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_that_are_not_public_are_known_in_every_form() {
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.19.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            let address: Ipv4Addr = inside.parse().unwrap();
            let [a, b, c, d] = address.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let forms = [
                IpAddr::V4(address),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low).into(),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low).into(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into(),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1).into(),
            ];
            for form in forms {
                assert!(!is_public(form), "{form}");
            }
        }
        for inside in [
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2001:10::1",
            "3fff::1",
            "100::1",
            "64:ff9b:1::1",
            "fec0::1",
            "4000::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn a_host_that_leads_inside_is_known_by_its_text() {
        for (host, to) in [
            ("localhost", Leads::Home),
            ("localhost.", Leads::Home),
            ("api.localhost", Leads::Home),
            ("127.0.0.1", Leads::Home),
            ("127.9.9.9", Leads::Home),
            ("[::1]", Leads::Home),
            ("[::ffff:127.0.0.1]", Leads::Inside),
            ("169.254.169.254", Leads::Inside),
            ("2130706433", Leads::Inside),
            ("0x7f000001", Leads::Inside),
            ("0x7f.1", Leads::Inside),
            ("017700000001", Leads::Inside),
            ("127.1", Leads::Inside),
            ("1.1.1.1.", Leads::Outside),
            ("%6cocalhost", Leads::Inside),
            ("a b", Leads::Inside),
            ("example.com", Leads::Open),
            ("1.example.com", Leads::Open),
            ("", Leads::Inside),
        ] {
            assert_eq!(leads(host), to, "{host}");
        }
    }

    proptest! {
        #[test]
        fn what_the_standard_library_calls_inside_is_never_public(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let is_inside = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_documentation() || address.is_unspecified();
            prop_assert!(!(is_inside && is_public(address.into())));
            prop_assert_eq!(is_public(address.into()), is_public(address.to_ipv6_mapped().into()));
        }
    }
}
