use std::{
    error::Error,
    fmt,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

use super::guard::{NotPublic, is_public};

/// A resolver for hyper-util's `HttpConnector` that leaves out addresses which are not of the public
/// Internet.
///
/// The connector connects to what the resolver returns. So a name cannot resolve to a public
/// address when it is checked and to a private one when it is connected to. A URL with a literal
/// address needs no resolver: [`AutoPayLayer`](super::AutoPayLayer) checks it.
///
/// ```
/// use hyper_util::client::legacy::connect::HttpConnector;
/// use tower_x402::client::GuardedResolver;
///
/// let connector = HttpConnector::new_with_resolver(GuardedResolver::new());
/// # let _ = connector;
/// ```
#[derive(Clone, Debug)]
pub struct GuardedResolver<R = GaiResolver> {
    inner: R,
}

impl GuardedResolver {
    /// Creates a resolver around the operating system's.
    #[must_use]
    pub fn new() -> Self {
        Self::around(GaiResolver::new())
    }
}

impl Default for GuardedResolver {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> GuardedResolver<R> {
    /// Creates a resolver around another one.
    pub const fn around(inner: R) -> Self {
        Self { inner }
    }
}

impl<R, A> Service<Name> for GuardedResolver<R>
where
    R: Service<Name, Response = A>,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
    R::Future: Send + 'static,
    A: Iterator<Item = SocketAddr>,
{
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = GuardedAddresses<R::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        GuardedAddresses {
            resolving: Box::pin(self.inner.call(name)),
        }
    }
}

/// The future of a [`GuardedResolver`].
pub struct GuardedAddresses<F> {
    resolving: Pin<Box<F>>,
}

impl<F> fmt::Debug for GuardedAddresses<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedAddresses").finish_non_exhaustive()
    }
}

impl<F, A, E> Future for GuardedAddresses<F>
where
    F: Future<Output = Result<A, E>>,
    A: Iterator<Item = SocketAddr>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<std::vec::IntoIter<SocketAddr>, Box<dyn Error + Send + Sync>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let found = ready!(self.resolving.as_mut().poll(cx)).map_err(Into::into)?;
        let public: Vec<_> = found.filter(|found| is_public(found.ip())).collect();
        Poll::Ready(if public.is_empty() {
            Err(NotPublic.into())
        } else {
            Ok(public.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, str::FromStr as _};

    use tower::{ServiceExt as _, service_fn};

    use super::*;

    async fn resolved(addresses: &[&str]) -> Option<Vec<String>> {
        let addresses: Vec<SocketAddr> =
            addresses.iter().map(|text| text.parse().unwrap()).collect();
        let inner = service_fn(move |_: Name| {
            let addresses = addresses.clone();
            async move { Ok::<_, Infallible>(addresses.into_iter()) }
        });
        let guarded = GuardedResolver::around(inner);
        let name = Name::from_str("a.example").unwrap();
        let found = guarded.oneshot(name).await.ok()?;
        Some(found.map(|found| found.to_string()).collect())
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_a_private_address_is_not_connected_to() {
        let inside = [
            "127.0.0.1:80",
            "169.254.169.254:80",
            "[::1]:80",
            "[::ffff:10.0.0.1]:80",
        ];
        for address in inside {
            assert_eq!(resolved(&[address]).await, None, "{address}");
        }
        assert_eq!(resolved(&inside).await, None);
        let mixed = resolved(&["10.0.0.1:80", "1.1.1.1:80"]).await;
        assert_eq!(mixed.unwrap(), ["1.1.1.1:80"]);
    }
}
