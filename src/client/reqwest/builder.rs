use std::{sync::Arc, time::Duration};

use ::reqwest::{Error, redirect};
use http::HeaderMap;
use rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::{client::PayingClient, dns::GuardedDns};
use crate::client::Wallet;

/// What a [`PayingClient`] is built from: see [`PayingClient::builder`].
///
/// ```no_run
/// use std::time::Duration;
/// use http::{HeaderMap, HeaderValue, header::ACCEPT_LANGUAGE};
/// use tower_x402::client::{PayingClient, Wallet};
///
/// # fn build(wallet: Wallet) -> Result<(), reqwest::Error> {
/// let client = PayingClient::builder(wallet)
///     .default_headers(HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static("nb"))]))
///     .user_agent("weather-agent/1.0")
///     .timeout(Duration::from_secs(90))
///     .build()?;
/// # let _ = client;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct PayingClientBuilder {
    wallet: Wallet,
    settings: ::reqwest::ClientBuilder,
    default_headers: HeaderMap,
}

impl PayingClient {
    /// Creates a builder for a client with settings of your own, such as time limits.
    pub fn builder(wallet: Wallet) -> PayingClientBuilder {
        PayingClientBuilder {
            wallet,
            settings: ::reqwest::Client::builder(),
            default_headers: HeaderMap::new(),
        }
    }
}

impl PayingClientBuilder {
    /// Adds headers to every request that does not have them itself.
    ///
    /// They are headers of the request in all that follows. At a redirect to another origin,
    /// `Authorization`, `Cookie`, `Proxy-Authorization`, credentials of payments, and headers whose
    /// value is [marked as sensitive](http::HeaderValue::set_sensitive) are left out. Others go there
    /// too, so mark a header that holds a key of yours. No credential takes the place of any.
    pub fn default_headers(mut self, headers: HeaderMap) -> Self {
        self.default_headers.extend(headers);
        self
    }

    /// Sets the `User-Agent` of requests that have none.
    pub fn user_agent(self, name: impl AsRef<str>) -> Self {
        self.map(|settings| settings.user_agent(name.as_ref()))
    }

    /// Sets how long one HTTP exchange may take, with the body of its answer. The payment between
    /// two exchanges does not count: see
    /// [`Policy::payment_time`](crate::client::Policy::payment_time).
    pub fn timeout(self, limit: Duration) -> Self {
        self.map(|settings| settings.timeout(limit))
    }

    /// Sets how long a connection may take to be made.
    pub fn connect_timeout(self, limit: Duration) -> Self {
        self.map(|settings| settings.connect_timeout(limit))
    }

    /// Sets how long nothing may come from the server.
    pub fn read_timeout(self, limit: Duration) -> Self {
        self.map(|settings| settings.read_timeout(limit))
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// An [`Error`] if a setting cannot be used, or if TLS or the resolver cannot be set up.
    pub fn build(self) -> Result<PayingClient, Error> {
        let mut settings = self
            .settings
            .redirect(redirect::Policy::none())
            .no_proxy()
            .tls_backend_preconfigured(tls());
        if !self.wallet.policy().private_addresses {
            settings = settings.dns_resolver(Arc::new(GuardedDns));
        }
        let plain = settings.build()?;
        Ok(PayingClient::of(self.wallet, plain, self.default_headers))
    }

    fn map(
        self,
        change: impl FnOnce(::reqwest::ClientBuilder) -> ::reqwest::ClientBuilder,
    ) -> Self {
        Self {
            settings: change(self.settings),
            ..self
        }
    }
}

/// TLS with the roots of Mozilla.
fn tls() -> ClientConfig {
    let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|_| unreachable!("ring speaks the default versions"));
    config.with_root_certificates(roots).with_no_client_auth()
}
