//! Proxies that were not configured, as far as a request shows them.

use std::net::IpAddr;

use http::request::Parts;

use crate::{
    codec::private::is_private,
    server::address::{ForwardedBy, MAX_HOPS, Proxies, peer},
};

/// An address that probably stands for many clients, and is not configured as a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Overlooked {
    /// A private address that forwards for others and is not a trusted proxy.
    Proxy(IpAddr),
    /// A trusted proxy that sends the other header than the one that is read.
    Header(IpAddr),
}

impl Proxies {
    /// Returns the proxy that a request came through, if it counts as the client. Only private
    /// addresses are suspected: any client can send a proxy's headers, and few clients have such an
    /// address.
    pub(crate) fn overlooked(&self, head: &Parts) -> Option<Overlooked> {
        let peer = peer(&head.extensions)?;
        let has = |header: ForwardedBy| head.headers.contains_key(header.name());
        let (other, read) = (has(self.header().other()), has(self.header()));
        if !self.trusts(peer) {
            return ((other || read) && is_private(peer)).then_some(Overlooked::Proxy(peer));
        }
        if other && !read {
            return Some(Overlooked::Header(peer));
        }
        let mut hops = self.hops(&head.headers).take(MAX_HOPS);
        let hop = hops.find_map(|hop| hop.filter(|hop| !self.trusts(*hop)))?;
        (hops.next().is_some() && is_private(hop)).then_some(Overlooked::Proxy(hop))
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::server::address::ClientAddr;

    #[track_caller]
    fn overlooked(peer: &str, headers: &[(&'static str, &str)]) -> Option<Overlooked> {
        let proxies = Proxies::parse(["10.0.0.0/8"], ForwardedBy::XForwardedFor).unwrap();
        let request = headers
            .iter()
            .fold(Request::builder(), |request, (name, value)| {
                request.header(*name, *value)
            });
        let mut head = request.body(()).unwrap().into_parts().0;
        head.extensions
            .insert(ClientAddr::new(peer.parse().unwrap()));
        proxies.overlooked(&head)
    }

    #[test]
    fn a_private_address_that_forwards_is_a_proxy_that_nobody_named() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for peer in [
            "127.0.0.1",
            "192.168.0.9",
            "172.16.0.1",
            "169.254.0.1",
            "100.64.0.1",
            "::1",
            "fe80::1",
            "fd00::1",
        ] {
            for name in ["x-forwarded-for", "forwarded"] {
                assert_eq!(
                    overlooked(peer, &[(name, "for=1.1.1.1")]),
                    Some(Overlooked::Proxy(ip(peer)))
                );
            }
            assert_eq!(overlooked(peer, &[]), None);
        }
        let words = ("x-forwarded-for", "198.51.100.1");
        assert_eq!(
            overlooked("::ffff:192.168.0.9", &[words]),
            Some(Overlooked::Proxy(ip("192.168.0.9")))
        );
        assert_eq!(
            overlooked("203.0.113.9", &[words]),
            None,
            "any client can send that header"
        );
        assert_eq!(overlooked("10.0.0.1", &[words]), None, "it is trusted");
        let chain = ("x-forwarded-for", "198.51.100.1, 192.168.0.9, 10.0.0.2");
        assert_eq!(
            overlooked("10.0.0.1", &[chain]),
            Some(Overlooked::Proxy(ip("192.168.0.9")))
        );
        assert_eq!(
            overlooked("10.0.0.1", &[("x-forwarded-for", "192.168.0.9")]),
            None,
            "a client at home"
        );
        assert_eq!(
            overlooked("10.0.0.1", &[("forwarded", "for=1.1.1.1")]),
            Some(Overlooked::Header(ip("10.0.0.1")))
        );
        assert_eq!(
            overlooked("10.0.0.1", &[words, ("forwarded", "for=1.1.1.1")]),
            None
        );
    }
}
