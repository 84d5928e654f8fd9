use std::fmt;

use crate::{
    codec::{authority::Authority, private::is_private_host},
    lightning::url::{ConnectError, NodeUrl},
    trace,
};

/// The beginning of every URL of a node: scheme, host, port, and perhaps a path.
#[derive(Clone)]
pub(crate) struct Origin {
    transport: Transport,
    authority: String,
    prefix: String,
}

/// How the requests to a node travel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Transport {
    /// Plain HTTP to any host.
    Insecure,
    /// Plain HTTP to this machine or a private network. An onion service is reached through a local
    /// proxy that gives it a private address.
    Plain,
    /// HTTPS.
    Tls,
}

impl Origin {
    /// Creates the origin of a node, from a host with an optional port.
    ///
    /// # Errors
    ///
    /// If it is no host, or if others could read the credential on its way.
    pub(crate) fn new(transport: Transport, host: &str, port: u16) -> Result<Self, ConnectError> {
        let parsed = Authority::parse(host).ok_or_else(|| {
            ConnectError::url(format!(
                "expected a host with an optional port, such as 127.0.0.1:{port}"
            ))
        })?;
        let authority = format!("{}:{}", parsed.host(), parsed.port().unwrap_or(port));
        let is_onion = parsed.host().to_ascii_lowercase().ends_with(".onion");
        match transport {
            Transport::Tls => {}
            Transport::Insecure | Transport::Plain if parsed.is_loopback() => {}
            Transport::Plain if !is_private_host(&parsed) && !is_onion => {
                return Err(ConnectError::url(format!(
                    "the credential for {authority} would be sent without TLS over a public network: connect with TLS, or through a \
                     tunnel to a private address; to send it nevertheless, call .insecure_without_tls(), or write insecure=true in the URL"
                )));
            }
            Transport::Insecure | Transport::Plain => trace::warn(format_args!(
                "the credential for {authority} is sent without TLS: make sure that nobody else can read that network"
            )),
        }
        Ok(Self {
            transport,
            authority,
            prefix: String::new(),
        })
    }

    /// Adds a path to every URL.
    ///
    /// # Errors
    ///
    /// If it does not begin with a slash, or has a character that no path has.
    pub(crate) fn under(mut self, prefix: &str) -> Result<Self, ConnectError> {
        let is_of_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~@:+".contains(&byte);
        let is_path = prefix.is_empty() || prefix.starts_with('/');
        if !is_path || !prefix.bytes().all(is_of_path) {
            return Err(ConnectError::url(
                "expected a path that begins with a slash, of letters, digits and -._~@:+, such as /wallets",
            ));
        }
        self.prefix = prefix.trim_end_matches('/').to_owned();
        Ok(self)
    }

    /// Returns whether a name of the host may only stand for a private address.
    pub(super) const fn is_only_private(&self) -> bool {
        matches!(self.transport, Transport::Plain)
    }

    pub(super) fn host(&self) -> &str {
        let end = self.authority.rfind(':').unwrap_or(self.authority.len());
        self.authority[..end].trim_matches(['[', ']'])
    }

    pub(super) fn url(&self, path: &str) -> String {
        let scheme = match self.transport {
            Transport::Insecure | Transport::Plain => "http",
            Transport::Tls => "https",
        };
        format!("{scheme}://{}{}{path}", self.authority, self.prefix)
    }
}

impl Transport {
    /// Returns the transport of a URL whose scheme says whether it uses TLS. Its field `insecure`
    /// allows plain HTTP to any host.
    ///
    /// # Errors
    ///
    /// If the field has another value than true or false, or the URL uses TLS.
    pub(crate) fn of(url: &NodeUrl, secure: bool) -> Result<Self, ConnectError> {
        match (url.flag("insecure")?, secure) {
            (true, true) => Err(ConnectError::url(format!(
                "the {} URL uses TLS: leave insecure=true out",
                url.scheme()
            ))),
            (true, false) => Ok(Self::Insecure),
            (false, true) => Ok(Self::Tls),
            (false, false) => Ok(Self::Plain),
        }
    }
}

/// Prints host and port.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}
