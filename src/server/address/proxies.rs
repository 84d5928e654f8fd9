//! The trusted proxies, and the header in which they report their clients.

use std::{
    error::Error,
    fmt,
    net::{IpAddr, SocketAddr},
};

use http::{Extensions, HeaderMap, HeaderName, header, request::Parts};
use ipnet::{IpNet, Ipv4Net};

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

/// The trusted proxies: their networks, or how many there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    networks: Vec<IpNet>,
    /// How many proxies every request passes, if their addresses are not known.
    passed: Option<usize>,
    header: ForwardedBy,
}

/// A mistake in the trusted proxies. `Display` names the fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyError(String);

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
    ) -> Result<Self, ProxyError> {
        let parse = |text: &str| {
            let network = text
                .parse::<IpAddr>()
                .map(IpNet::from)
                .or_else(|_| text.parse())
                .map_err(|_| {
                    ProxyError::of(
                        text,
                        "expected an address or a network, as in `10.0.0.0/8` or `::1`",
                    )
                })?;
            let network = canonical(network);
            if is_too_wide(&network) {
                return Err(ProxyError::of(
                    text,
                    "so wide a network holds clients too, and all of them could say who they are: name your proxies' own \
                     networks, or call .trusted_hops(..) if they have no fixed addresses",
                ));
            }
            Ok(network)
        };
        Ok(Self {
            networks: networks.into_iter().map(parse).collect::<Result<_, _>>()?,
            passed: None,
            header,
        })
    }

    /// Trusts this many proxies of any address, which every request passes.
    pub(crate) fn with_hops(self, hops: usize) -> Result<Self, ProxyError> {
        let fault = if hops == 0 || hops > MAX_HOPS {
            "expected how many proxies every request passes, from 1 to 32"
        } else if !self.networks.is_empty() {
            "proxies are trusted by address or by number: keep .trusted_proxy(..) if their addresses are fixed, and \
             .trusted_hops(..) if not"
        } else {
            return Ok(Self {
                passed: Some(hops),
                ..self
            });
        };
        Err(ProxyError(format!(".trusted_hops({hops}): {fault}")))
    }

    pub(crate) fn client(&self, head: &Parts) -> Client {
        self.resolve(&head.headers, &head.extensions)
    }

    /// Reads the client from the parts of a request.
    pub(crate) fn resolve(&self, headers: &HeaderMap, extensions: &Extensions) -> Client {
        let peer = peer(extensions);
        if let Some(passed) = self.passed {
            return Client::at(self.nth_hop(headers, passed, peer), true);
        }
        let Some(peer) = peer else {
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

    /// Returns the client if every request passes this many proxies, each of which appends its
    /// peer. It is the peer if no proxy wrote anything, such as in a health check. It is unknown if
    /// fewer wrote than there are.
    fn nth_hop(&self, headers: &HeaderMap, nth: usize, peer: Option<IpAddr>) -> Option<IpAddr> {
        let mut hops = self.hops(headers).take(nth).peekable();
        if hops.peek().is_none() {
            return peer;
        }
        hops.nth(nth - 1).flatten()
    }

    /// Returns the header that is read.
    pub(crate) const fn header(&self) -> ForwardedBy {
        self.header
    }

    pub(in crate::server) fn trusts(&self, address: IpAddr) -> bool {
        self.passed.is_some()
            || self
                .networks
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
            Self::Forwarded => parameter(hop, "for")?,
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

/// Returns the value of a parameter in one element of `Forwarded` (RFC 7239, "Forwarded HTTP Header
/// Field"), without its quotes.
pub(in crate::server) fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| found.trim().eq_ignore_ascii_case(name))?;
    let value = value.trim();
    let unquoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    Some(unquoted.unwrap_or(value))
}

/// Returns an IPv4 network for an IPv6 network of IPv4-mapped addresses, as peers are compared.
fn canonical(network: IpNet) -> IpNet {
    let mapped = network.prefix_len().checked_sub(96);
    match (network.addr().to_canonical(), mapped) {
        (IpAddr::V4(address), Some(length)) if matches!(network, IpNet::V6(_)) => {
            Ipv4Net::new(address, length).map_or(network, IpNet::V4)
        }
        _ => network,
    }
}

/// Whether no operator can own all of it: wider than 10.0.0.0/8, or than an IPv6 network of 16 bits
/// outside of the unique local addresses.
fn is_too_wide(network: &IpNet) -> bool {
    match network {
        IpNet::V4(v4) => v4.prefix_len() < 8,
        IpNet::V6(v6) => {
            v6.prefix_len() < 16 && !(v6.prefix_len() >= 7 && v6.addr().is_unique_local())
        }
    }
}

impl ProxyError {
    fn of(proxy: &str, what: &str) -> Self {
        Self(format!("trusted proxy `{proxy}`: {what}"))
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ProxyError {}
