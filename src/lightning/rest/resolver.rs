//! The addresses of a node's host. Without TLS, only private ones are used, whatever the DNS says.

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::{HttpConnector, dns::Name};
use tower_service::Service;

use super::Origin;
use crate::{codec::private::is_private, lightning::BoxFuture};

/// Returns a connector that connects only to addresses that the origin allows.
pub(super) fn connector<R>(origin: &Origin, resolver: R) -> HttpConnector<Resolver<R>> {
    HttpConnector::new_with_resolver(Resolver {
        only_private: origin.is_only_private(),
        inner: resolver,
    })
}

/// Leaves out the public addresses of another resolver's answer.
#[derive(Clone)]
pub(super) struct Resolver<R> {
    only_private: bool,
    inner: R,
}

impl<R> Service<Name> for Resolver<R>
where
    R: Service<Name, Error = io::Error>,
    R::Response: Iterator<Item = SocketAddr>,
    R::Future: Send + 'static,
{
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let only_private = self.only_private;
        let resolving = self.inner.call(name);
        Box::pin(async move {
            let mut addresses: Vec<_> = resolving.await?.collect();
            if only_private {
                addresses.retain(|address| is_private(address.ip().to_canonical()));
                if addresses.is_empty() {
                    return Err(io::Error::other(
                        "expected a host with a private address, because the credential would be sent without TLS: connect with TLS, or allow any host with insecure",
                    ));
                }
            }
            Ok(addresses.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};

    use http::Uri;

    use super::*;
    use crate::lightning::rest::Transport;

    /// Answers every name with the same addresses.
    #[derive(Clone)]
    struct Says(Vec<SocketAddr>);

    impl Service<Name> for Says {
        type Response = vec::IntoIter<SocketAddr>;
        type Error = io::Error;
        type Future = Ready<io::Result<Self::Response>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            ready(Ok(self.0.clone().into_iter()))
        }
    }

    async fn used(transport: Transport, host: &str, addresses: &[&str]) -> io::Result<Vec<String>> {
        let origin = Origin::new(transport, host, 1).unwrap();
        let says = Says(addresses.iter().map(|text| text.parse().unwrap()).collect());
        let mut resolver = Resolver {
            only_private: origin.is_only_private(),
            inner: says,
        };
        let used = resolver.call("node".parse().unwrap()).await?;
        Ok(used.map(|address| address.to_string()).collect())
    }

    #[tokio::test]
    async fn without_tls_only_the_private_addresses_of_a_host_are_used() {
        let mixed = [
            "8.8.8.8:0",
            "10.0.0.5:0",
            "[2001:db8::1]:0",
            "[::1]:0",
            "[::ffff:8.8.8.8]:0",
            "0.0.0.0:0",
        ];
        for host in ["lnd", "node.local", "localhost", "abcdefgh.onion"] {
            let addresses = used(Transport::Plain, host, &mixed).await.unwrap();
            assert_eq!(addresses, ["10.0.0.5:0", "[::1]:0"], "{host}");
            let error = used(Transport::Plain, host, &mixed[..1]).await.unwrap_err();
            assert!(error.to_string().contains("private address"), "{error}");
            for transport in [Transport::Insecure, Transport::Tls] {
                let addresses = used(transport, host, &mixed).await.unwrap();
                assert_eq!(addresses, mixed, "{host}");
            }
        }
    }

    #[tokio::test]
    async fn a_connector_does_not_connect_to_a_public_address_without_tls() {
        let origin = Origin::new(Transport::Plain, "lnd", 1).unwrap();
        let mut connector = connector(&origin, Says(vec!["192.0.2.1:0".parse().unwrap()]));
        let uri = Uri::from_static("http://lnd:1/");
        let error = connector.call(uri).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("private address"), "{error}: {cause}");
    }
}
