//! The address of a client, and the key that limits count it by.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use http::Extensions;

/// The address of a request's client, for servers that do not use axum's
/// `into_make_service_with_connect_info`.
///
/// Insert it into the request's extensions before this crate's layer: the address of the
/// connection's peer, or of the client itself if an outer layer has established it. Takes
/// precedence over axum's `ConnectInfo<std::net::SocketAddr>`. Requests with neither of the two
/// share one limit for unpaid invoices and get no free requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddr(IpAddr);

impl ClientAddr {
    /// Creates one from an address.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        Self(address)
    }

    /// Returns the address.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.0
    }
}

/// The key that limits count a client by: an IPv4 address, an IPv6 network of 64 bits, or unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ClientKey {
    Unknown,
    V4(Ipv4Addr),
    V6([u8; 8]),
}

/// An IPv6 network around a client, as a provider assigns it to a household (56 bits) or a site (48
/// bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Block {
    Bits48([u8; 6]),
    Bits56([u8; 7]),
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

    /// Returns the networks around it that have a share of their own, the narrowest first.
    pub(crate) fn blocks(self) -> impl Iterator<Item = Block> {
        let blocks = match self {
            Self::V6([a, b, c, d, e, f, g, _]) => [
                Some(Block::Bits56([a, b, c, d, e, f, g])),
                Some(Block::Bits48([a, b, c, d, e, f])),
            ],
            Self::Unknown | Self::V4(_) => [None, None],
        };
        blocks.into_iter().flatten()
    }
}

impl Block {
    /// Returns how many clients' shares it gets, however many clients are in it.
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
    octets
        .iter_mut()
        .zip(network)
        .for_each(|(octet, byte)| *octet = *byte);
    octets.into()
}

/// Returns the peer's address: the application's `ClientAddr`, or else the connection's.
pub(in crate::server) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let told = extensions.get::<ClientAddr>().map(ClientAddr::ip);
    #[cfg(feature = "axum")]
    let told = told.or_else(|| {
        extensions
            .get::<axum::extract::ConnectInfo<std::net::SocketAddr>>()
            .map(|axum::extract::ConnectInfo(peer)| peer.ip())
    });
    told.map(|address| address.to_canonical())
}
