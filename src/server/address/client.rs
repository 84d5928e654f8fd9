//! The address of a client, and what it is counted by.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use http::Extensions;

/// The address of whoever sent a request, for servers that do not run under axum's
/// `into_make_service_with_connect_info`.
///
/// Insert it into the request's extensions before this crate's layer sees it: the address of the
/// connection's other end, or of the client itself where something outside has established it. It
/// goes before axum's `ConnectInfo<std::net::SocketAddr>`. Requests without either share one limit
/// for unpaid invoices and get no free allowance.
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

/// What one client is counted by: an IPv4 address, an IPv6 network of 64 bits, or nothing that is
/// known.
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
    octets
        .iter_mut()
        .zip(network)
        .for_each(|(octet, byte)| *octet = *byte);
    octets.into()
}

/// The other end of the connection, or who the application says that it is.
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
