//! The trusted proxies, and the header in which they report their clients.

use std::{
    error::Error,
    fmt,
    net::{IpAddr, SocketAddr},
};

use http::{Extensions, HeaderMap, HeaderName, header, request::Parts};
use ipnet::IpNet;

use super::client::{ClientKey, peer};
use crate::payment::ResolvedClient;

/// The client of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) key: ClientKey,
    /// The whole address behind the key.
    pub(crate) address: ResolvedClient,
    /// Whether the peer is a trusted proxy.
    pub(crate) is_behind_proxy: bool,
}

/// The header in which trusted proxies report their clients. Only one is read, because a proxy
/// passes on the other as its clients sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ForwardedBy {
    /// RFC 7239.
    Forwarded,
    #[default]
    XForwardedFor,
}

/// The trusted proxies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    networks: Vec<IpNet>,
    header: ForwardedBy,
}

/// A text that was configured as a trusted proxy, and is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NetworkError(String);

/// How many hops are read at most.
pub(in crate::server) const MAX_HOPS: usize = 32;

impl Client {
    fn at(address: Option<IpAddr>, is_behind_proxy: bool) -> Self {
        Self {
            key: address.map_or(ClientKey::Unknown, ClientKey::of),
            address: address.map_or(ResolvedClient::UNKNOWN, ResolvedClient::new),
            is_behind_proxy,
        }
    }
}

impl Proxies {
    /// Reads networks (`10.0.0.0/8`) and single addresses (`::1`).
    pub(crate) fn parse<'a>(
        networks: impl IntoIterator<Item = &'a str>,
        header: ForwardedBy,
    ) -> Result<Self, NetworkError> {
        let parse = |text: &str| {
            let address = text
                .parse::<IpAddr>()
                .map(|address| IpNet::from(address.to_canonical()));
            address
                .or_else(|_| text.parse())
                .map_err(|_| NetworkError(text.to_owned()))
        };
        Ok(Self {
            networks: networks.into_iter().map(parse).collect::<Result<_, _>>()?,
            header,
        })
    }

    pub(crate) fn client(&self, head: &Parts) -> Client {
        self.resolve(&head.headers, &head.extensions)
    }

    /// Reads the client from the parts of a request.
    pub(crate) fn resolve(&self, headers: &HeaderMap, extensions: &Extensions) -> Client {
        let Some(peer) = peer(extensions) else {
            return Client::at(None, false);
        };
        if !self.trusts(peer) {
            return Client::at(Some(peer), false);
        }
        let mut hops = self.hops(headers).take(MAX_HOPS).peekable();
        let address = match hops.peek() {
            // The proxy itself sent it, such as a health check.
            None => Some(peer),
            Some(_) => loop {
                match (hops.next(), hops.peek()) {
                    (Some(Some(hop)), Some(_)) if self.trusts(hop) => {}
                    (Some(hop), _) => break hop,
                    (None, _) => break None,
                }
            },
        };
        Client::at(address, true)
    }

    /// Returns the header that is read.
    pub(crate) const fn header(&self) -> ForwardedBy {
        self.header
    }

    pub(in crate::server) fn trusts(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// Returns the hops from right to left, the nearest first. `None` for a hop without an address.
    pub(in crate::server) fn hops<'a>(
        &self,
        headers: &'a HeaderMap,
    ) -> impl Iterator<Item = Option<IpAddr>> + 'a {
        let header = self.header;
        let lines: Vec<_> = headers.get_all(header.name()).iter().collect();
        lines.into_iter().rev().flat_map(move |line| {
            // Split at commas from the right, ignoring quotes: everything to the left may come from
            // strangers.
            line.as_bytes()
                .rsplit(|byte| *byte == b',')
                .map(move |hop| header.read(std::str::from_utf8(hop).ok()?.trim()))
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
                value
                    .strip_prefix('"')
                    .and_then(|value| value.strip_suffix('"'))
                    .unwrap_or(value)
            }
        };
        let bracketed = node
            .strip_prefix('[')
            .and_then(|node| node.strip_suffix(']'))
            .unwrap_or(node);
        let address = bracketed
            .parse::<IpAddr>()
            .or_else(|_| node.parse::<SocketAddr>().map(|address| address.ip()));
        address.ok().map(|address| address.to_canonical())
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "trusted proxy `{}`: expected an address or a network, as in `10.0.0.0/8` or `::1`",
            self.0
        )
    }
}

impl Error for NetworkError {}
