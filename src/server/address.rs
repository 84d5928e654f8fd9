//! Who asks: an address, as far as it can be known without a stranger's word.

use std::{
    error::Error,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use http::{HeaderMap, HeaderName, header, request::Parts};
use ipnet::IpNet;

/// The address of whoever sent a request, for servers that do not run under axum's `into_make_service_with_connect_info`.
///
/// Insert it into the request's extensions before this crate's layer sees it: the address of the connection's other end, or
/// of the client itself where something outside has established it. It goes before axum's `ConnectInfo<SocketAddr>`.
/// Requests without either share one limit for unpaid invoices and get no free allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddr(IpAddr);

impl ClientAddr {
    /// This address.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        Self(address)
    }

    /// The address.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.0
    }
}

/// What one client is counted by: an IPv4 address, an IPv6 network of 64 bits, or nothing that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ClientKey {
    Unknown,
    V4(Ipv4Addr),
    V6([u8; 8]),
}

/// A network of IPv6 around a client: what a household or a site gets, and divides as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Block {
    Bits48([u8; 6]),
    Bits56([u8; 7]),
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) key: ClientKey,
    /// The other end of the connection is a proxy whose word counts.
    pub(crate) is_behind_proxy: bool,
}

/// The header in which trusted proxies write whom they heard from. Only one is read, because a proxy passes on what its
/// clients put into the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ForwardedBy {
    /// RFC 7239.
    Forwarded,
    #[default]
    XForwardedFor,
}

/// The proxies whose word counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    networks: Vec<IpNet>,
    header: ForwardedBy,
}

/// A trusted proxy that is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NetworkError(String);

/// Hops beyond this are not looked at.
pub(super) const MAX_HOPS: usize = 32;

impl Proxies {
    /// From networks (`10.0.0.0/8`) and single addresses (`::1`).
    pub(crate) fn parse<'a>(networks: impl IntoIterator<Item = &'a str>, header: ForwardedBy) -> Result<Self, NetworkError> {
        let parse = |text: &str| {
            let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
            address.or_else(|_| text.parse()).map_err(|_| NetworkError(text.to_owned()))
        };
        Ok(Self { networks: networks.into_iter().map(parse).collect::<Result<_, _>>()?, header })
    }

    pub(crate) fn client(&self, head: &Parts) -> Client {
        let Some(peer) = peer(head) else { return Client { key: ClientKey::Unknown, is_behind_proxy: false } };
        if !self.trusts(peer) {
            return Client { key: ClientKey::of(peer), is_behind_proxy: false };
        }
        let mut hops = self.hops(&head.headers).take(MAX_HOPS).peekable();
        let key = match hops.peek() {
            // The proxy itself asks, to see whether this server is well.
            None => ClientKey::of(peer),
            Some(_) => loop {
                match (hops.next(), hops.peek()) {
                    (Some(Some(hop)), Some(_)) if self.trusts(hop) => {}
                    (Some(Some(hop)), _) => break ClientKey::of(hop),
                    _ => break ClientKey::Unknown,
                }
            },
        };
        Client { key, is_behind_proxy: true }
    }

    /// The header that is read.
    pub(crate) const fn header(&self) -> ForwardedBy {
        self.header
    }

    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The hops from the right, the nearest first: `None` for one that tells no address.
    pub(super) fn hops<'a>(&self, headers: &'a HeaderMap) -> impl Iterator<Item = Option<IpAddr>> + 'a {
        let header = self.header;
        let lines: Vec<_> = headers.get_all(header.name()).iter().collect();
        lines.into_iter().rev().flat_map(move |line| {
            // Commas are looked for from the right and without regard for quotes: to the left stands what strangers wrote.
            line.as_bytes().rsplit(|byte| *byte == b',').map(move |hop| header.read(std::str::from_utf8(hop).ok()?.trim()))
        })
    }
}

impl ForwardedBy {
    pub(crate) const fn reads_forwarded(self) -> bool {
        matches!(self, Self::Forwarded)
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Forwarded => Self::XForwardedFor,
            Self::XForwardedFor => Self::Forwarded,
        }
    }

    pub(crate) const fn name(self) -> HeaderName {
        match self {
            Self::Forwarded => header::FORWARDED,
            Self::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
        }
    }

    fn read(self, hop: &str) -> Option<IpAddr> {
        let node = match self {
            Self::XForwardedFor => hop,
            Self::Forwarded => {
                let mut nodes = hop.split(';').filter_map(|pair| pair.split_once('='));
                let (_, value) = nodes.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
                let value = value.trim();
                value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
            }
        };
        let bracketed = node.strip_prefix('[').and_then(|node| node.strip_suffix(']')).unwrap_or(node);
        let address = bracketed.parse::<IpAddr>().or_else(|_| node.parse::<SocketAddr>().map(|address| address.ip()));
        address.ok().map(|address| address.to_canonical())
    }
}

impl ClientKey {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }

    /// The networks around it that have a share of their own, from the narrowest on.
    pub(crate) fn blocks(self) -> impl Iterator<Item = Block> {
        let blocks = match self {
            Self::V6([a, b, c, d, e, f, g, _]) => {
                [Some(Block::Bits56([a, b, c, d, e, f, g])), Some(Block::Bits48([a, b, c, d, e, f]))]
            }
            Self::Unknown | Self::V4(_) => [None, None],
        };
        blocks.into_iter().flatten()
    }
}

impl Block {
    /// For how many clients it counts, however many it holds.
    pub(crate) const fn clients(self) -> usize {
        match self {
            Self::Bits48(_) => 16,
            Self::Bits56(_) => 4,
        }
    }
}

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::V4(address) => address.fmt(f),
            Self::V6(network) => write!(f, "{}/64", ipv6(network)),
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bits48(network) => write!(f, "{}/48", ipv6(network)),
            Self::Bits56(network) => write!(f, "{}/56", ipv6(network)),
        }
    }
}

fn ipv6(network: &[u8]) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.iter_mut().zip(network).for_each(|(octet, byte)| *octet = *byte);
    octets.into()
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trusted proxy `{}`: expected an address or a network, as in `10.0.0.0/8` or `::1`", self.0)
    }
}

impl Error for NetworkError {}

/// The other end of the connection, or who the application says that it is.
pub(super) fn peer(head: &Parts) -> Option<IpAddr> {
    let told = head.extensions.get::<ClientAddr>().map(ClientAddr::ip);
    #[cfg(feature = "axum")]
    let told = told.or_else(|| {
        head.extensions.get::<axum::extract::ConnectInfo<SocketAddr>>().map(|axum::extract::ConnectInfo(peer)| peer.ip())
    });
    told.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn key(text: &str) -> ClientKey {
        ClientKey::of(text.parse().unwrap())
    }

    #[track_caller]
    fn client(header: ForwardedBy, peer: &str, lines: &[&str]) -> Client {
        let proxies = Proxies::parse(["10.0.0.0/8", "::1"], header).unwrap();
        let request = lines.iter().fold(Request::builder(), |request, line| request.header(header.name(), *line));
        let mut head = request.body(()).unwrap().into_parts().0;
        head.extensions.insert(ClientAddr::new(peer.parse().unwrap()));
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
        assert_eq!(client, Client { key: key("203.0.113.9"), is_behind_proxy: false });
    }

    #[test]
    fn a_trusted_proxys_word_is_read_from_the_right() {
        assert_eq!(behind(&["198.51.100.1"]), key("198.51.100.1"));
        assert_eq!(behind(&["1.1.1.1, 198.51.100.1"]), key("198.51.100.1"));
        assert_eq!(behind(&["1.1.1.1", "198.51.100.1, 10.9.9.9"]), key("198.51.100.1"));
        assert_eq!(behind(&["10.7.7.7, 10.8.8.8"]), key("10.7.7.7"));
        assert_eq!(behind(&["198.51.100.1:4711"]), key("198.51.100.1"));
        assert_eq!(behind(&["[2001:db8::1]:4711"]), key("2001:db8::1"));
        assert_eq!(behind(&["::ffff:10.8.8.8"]), key("10.8.8.8"));
        assert_eq!(behind(&[]), key("10.1.2.3"));
        for unreadable in ["unknown", "", "1.1.1.1, ", "1.1.1.1, _hidden", "1.1.1.1;2.2.2.2", "1.1.1.1, \u{e9}"] {
            assert_eq!(behind(&[unreadable]), ClientKey::Unknown, "{unreadable}");
        }
        assert_eq!(behind(&[&"10.0.0.1,".repeat(100)]), ClientKey::Unknown);
        assert_eq!(behind(&[&format!("1.1.1.1{}", ", 10.0.0.1".repeat(100))]), key("10.0.0.1"));
        assert_eq!(client(ForwardedBy::XForwardedFor, "::1", &["198.51.100.1"]).key, key("198.51.100.1"));
        assert_eq!(client(ForwardedBy::XForwardedFor, "::ffff:10.1.1.1", &["198.51.100.1"]).key, key("198.51.100.1"));
    }

    #[test]
    fn forwarded_is_read_only_where_it_is_said() {
        let behind = |line: &str| client(ForwardedBy::Forwarded, "10.1.2.3", &[line]).key;
        assert_eq!(behind("for=198.51.100.1"), key("198.51.100.1"));
        assert_eq!(behind("for=1.1.1.1, proto=https; For=\"[2001:db8::1]:4711\" ;by=10.0.0.1"), key("2001:db8::1"));
        assert_eq!(behind("for=\", for=198.51.100.1"), key("198.51.100.1"));
        assert_eq!(behind("for=_hidden"), ClientKey::Unknown);
        assert_eq!(behind("by=1.1.1.1"), ClientKey::Unknown);
        let request = Request::builder().header("forwarded", "for=1.1.1.1").body(()).unwrap();
        let mut head = request.into_parts().0;
        head.extensions.insert(ClientAddr::new("10.1.2.3".parse().unwrap()));
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
        let blocks = |text: &str| key(text).blocks().map(|block| block.to_string()).collect::<Vec<_>>();
        assert_eq!(blocks("2001:db8:1:23ff::1"), ["2001:db8:1:2300::/56", "2001:db8:1::/48"]);
        assert_eq!(blocks("::ffff:198.51.100.1"), [""; 0]);
        assert_eq!(key("2001:db8:1:23ff::1").to_string(), "2001:db8:1:23ff::/64");
    }

    #[test]
    fn who_tells_no_address_is_unknown() {
        let head = Request::builder().header("x-forwarded-for", "1.1.1.1").body(()).unwrap().into_parts().0;
        let unknown = Client { key: ClientKey::Unknown, is_behind_proxy: false };
        assert_eq!(Proxies::parse(["0.0.0.0/0"], ForwardedBy::XForwardedFor).unwrap().client(&head), unknown);
    }

    #[cfg(feature = "axum")]
    #[test]
    fn axums_peer_is_the_client_unless_the_application_knows_better() {
        let mut head = Request::new(()).into_parts().0;
        head.extensions.insert(axum::extract::ConnectInfo(SocketAddr::from(([198, 51, 100, 1], 80))));
        assert_eq!(Proxies::default().client(&head).key, key("198.51.100.1"));
        head.extensions.insert(ClientAddr::new("198.51.100.2".parse().unwrap()));
        assert_eq!(Proxies::default().client(&head).key, key("198.51.100.2"));
    }

    #[test]
    fn a_proxy_that_is_no_network_is_named() {
        let error = Proxies::parse(["10.0.0.0/8", "proxy.local"], ForwardedBy::default()).unwrap_err().to_string();
        assert_eq!(error, "trusted proxy `proxy.local`: expected an address or a network, as in `10.0.0.0/8` or `::1`");
        assert!(Proxies::parse(["10.0.0.0/33"], ForwardedBy::default()).is_err());
    }
}
