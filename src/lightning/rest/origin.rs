use std::fmt;

use crate::{codec::authority::Authority, lightning::url::ConnectError, trace};

/// The beginning of every URL of a node: scheme, host, port, and perhaps a path.
#[derive(Clone)]
pub(crate) struct Origin {
    secure: bool,
    authority: String,
    prefix: String,
}

impl Origin {
    /// Creates the origin of a node, from a host with an optional port.
    ///
    /// # Errors
    ///
    /// If it is no host.
    pub(crate) fn new(secure: bool, host: &str, port: u16) -> Result<Self, ConnectError> {
        let parsed = Authority::parse(host).ok_or_else(|| {
            ConnectError::url(format!(
                "expected a host with an optional port, such as 127.0.0.1:{port}"
            ))
        })?;
        let authority = format!("{}:{}", parsed.host(), parsed.port().unwrap_or(port));
        if !secure && !parsed.is_loopback() {
            trace::warn(format_args!(
                "the credential for {authority} is sent without TLS: make sure that nobody else can read that network"
            ));
        }
        Ok(Self {
            secure,
            authority,
            prefix: String::new(),
        })
    }

    /// Adds a path to every URL.
    #[must_use]
    pub(crate) fn under(mut self, prefix: &str) -> Self {
        self.prefix = prefix.trim_end_matches('/').to_owned();
        self
    }

    pub(super) fn host(&self) -> &str {
        let end = self.authority.rfind(':').unwrap_or(self.authority.len());
        self.authority[..end].trim_matches(['[', ']'])
    }

    pub(super) fn url(&self, path: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{}{path}", self.authority, self.prefix)
    }
}

/// Prints host and port.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}
