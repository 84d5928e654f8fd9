//! What a client knows before it pays: its own request, its network and the time. Also the reasons
//! not to pay.

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderName};

use crate::{
    clock::Timestamp,
    payment::{DialectName, InvoiceError, Network, SKEW},
};

/// The request that a client pays for.
///
/// Fill it in from what the client itself knows, never from the challenge. The checks compare the
/// two.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum ClientRequest<'a> {
    /// An HTTP request.
    Http {
        /// The method, as it is sent.
        method: &'a str,
        /// The absolute URL, as it is sent.
        url: &'a str,
        /// The headers, as they are sent, without a credential for this payment.
        headers: &'a HeaderMap,
        /// SHA-256 of the body. Also needed if the body is empty.
        body_hash: [u8; 32],
    },
    /// An MCP `tools/call`. Only x402 can pay for one.
    Mcp {
        /// The server's absolute URI, from configuration.
        server: &'a str,
        /// The JSON text of the call's `params`.
        params: &'a str,
    },
}

impl ClientRequest<'_> {
    /// Refuses a request that already has this header: a credential must not replace the caller's
    /// own.
    pub(super) fn leaves_free(
        &self,
        name: &HeaderName,
        dialect: DialectName,
    ) -> Result<(), ChallengeError> {
        let taken = matches!(self, Self::Http { headers, .. } if headers.contains_key(name));
        ensure(!taken, dialect, HEADER_IN_USE)
    }

    /// Returns the hash of an HTTP request's body.
    pub(super) fn body_hash(&self, dialect: DialectName) -> Result<&[u8; 32], ChallengeError> {
        match self {
            Self::Http { body_hash, .. } => Ok(body_hash),
            Self::Mcp { .. } => Err(ChallengeError::new(
                dialect,
                "only x402 can pay for an MCP call",
            )),
        }
    }
}

/// Hides the headers, which may hold the caller's own secrets, and the call's arguments.
impl fmt::Debug for ClientRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { method, url, .. } => write!(f, "ClientRequest({method} {url})"),
            Self::Mcp { server, .. } => write!(f, "ClientRequest(tools/call of {server})"),
        }
    }
}

const HEADER_IN_USE: &str = "the request already has the header that the credential needs: \
     remove it, or pay in another dialect";

/// What a client knows besides its request: its wallet's network, and the time.
#[derive(Clone, Copy, Debug)]
pub struct ClientConditions {
    pub(super) network: Network,
    pub(super) now: Timestamp,
    pub(super) skew: Duration,
}

impl ClientConditions {
    /// Creates conditions for a wallet on this network, at this moment. Clocks may differ by 60
    /// seconds.
    #[must_use]
    pub const fn new(network: Network, now: Timestamp) -> Self {
        Self {
            network,
            now,
            skew: SKEW,
        }
    }

    /// Sets by how much the server's clock may differ from the client's, in whole seconds.
    #[must_use]
    pub const fn with_skew(self, skew: Duration) -> Self {
        Self { skew, ..self }
    }

    /// Refuses an invoice for another network, and one that has expired.
    pub(super) fn check(
        &self,
        network: Network,
        expires_at: Timestamp,
        dialect: DialectName,
    ) -> Result<(), ChallengeError> {
        ensure(
            network == self.network,
            dialect,
            "the invoice is for another network than the wallet's",
        )?;
        ensure(self.now < expires_at, dialect, "it has expired")
    }
}

/// Why a challenge must not be paid, or why a stored `Payable` of any dialect cannot be read.
#[derive(Clone, Debug)]
pub struct ChallengeError {
    dialect: DialectName,
    reason: &'static str,
    code: Option<&'static str>,
    source: Option<InvoiceError>,
}

impl ChallengeError {
    pub(super) const fn new(dialect: DialectName, reason: &'static str) -> Self {
        Self {
            dialect,
            reason,
            code: None,
            source: None,
        }
    }

    #[cfg(feature = "x402")]
    pub(super) fn with_code(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    pub(super) fn with_source(self, source: Option<InvoiceError>) -> Self {
        Self { source, ..self }
    }

    /// Returns the dialect of the challenge.
    #[must_use]
    pub const fn dialect(&self) -> DialectName {
        self.dialect
    }

    /// Returns x402's code for the reason, if there is one: see [`Reason`](crate::x402::Reason).
    #[must_use]
    pub const fn code(&self) -> Option<&'static str> {
        self.code
    }
}

impl fmt::Display for ChallengeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "challenge refused: {}", self.reason)?;
        self.code.map_or(Ok(()), |code| write!(f, " ({code})"))
    }
}

impl std::error::Error for ChallengeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// Returns the error unless `holds`.
pub(super) fn ensure(
    holds: bool,
    dialect: DialectName,
    reason: &'static str,
) -> Result<(), ChallengeError> {
    if holds {
        Ok(())
    } else {
        Err(ChallengeError::new(dialect, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_own_headers_and_arguments_are_not_shown() {
        let token = http::HeaderValue::from_static("Bearer secret");
        let http = ClientRequest::Http {
            method: "GET",
            url: "https://a/",
            headers: &HeaderMap::from_iter([(http::header::AUTHORIZATION, token)]),
            body_hash: [0; 32],
        };
        let mcp = ClientRequest::Mcp {
            server: "https://a/",
            params: r#"{"name":"secret"}"#,
        };
        assert!(!format!("{http:?} {mcp:?}").contains("secret"));
    }
}
