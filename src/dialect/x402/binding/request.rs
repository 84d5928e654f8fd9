use std::fmt;

use ::http::HeaderMap;
use sha2::{Digest, Sha256};

use super::{http, mcp};
use crate::{codec::hex, dialect::x402::Reason};

/// What a payment for one request commits to: the canonical text and its hash.
///
/// If the specification's vectors leave a choice, this crate takes the strict one:
///
/// - A whole number beyond 2^53 - 1 in bound MCP values cannot be bound. Its canonical text would
///   be rounded. A handler that reads the exact number would see another call than the one that was
///   paid for.
/// - The server refuses (421) a request that names well-formed authorities, none of which is ours.
///   It binds a request without any authority to the configured origin.
/// - A port is a number from 1 to 65535 without leading zeros. An empty port counts as none.
///
/// One choice is not strict: a raw `[` or `]` is allowed in path and query, because the reference
/// implementations allow it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestBinding {
    canonical: String,
    hash: RequestHash,
}

impl RequestBinding {
    /// Creates the binding of an HTTP request (`lnbtc`, profile `http:1`).
    ///
    /// `url` is the absolute URL of the request. Its case, escapes and order stay as they are, and
    /// an empty path becomes `/`. `body_hash` is SHA-256 of the body after transfer-decoding, and
    /// before any other decoding, such as that of `Content-Encoding`. `names` are the bound
    /// headers: lower case, sorted, unique, whether or not the request has them.
    ///
    /// # Errors
    ///
    /// [`Reason::RequestBinding`] for a request that the profile cannot express.
    pub fn http(
        method: &str,
        url: &str,
        body_hash: &[u8; 32],
        names: &[impl AsRef<str>],
        headers: &HeaderMap,
    ) -> Result<Self, Reason> {
        http::canonical(method, url, body_hash, names, headers)
            .map(Self::of)
            .ok_or(Reason::RequestBinding)
    }

    /// Creates the binding of an MCP `tools/call` (`lnbtc`, profile `mcp:1`).
    ///
    /// `server` is the server's absolute URI, from configuration. `params` is the JSON text of the
    /// call's `params`, as it was sent. `metadata` are the bound members of `_meta`: sorted,
    /// unique, whether or not the call has them.
    ///
    /// # Errors
    ///
    /// [`Reason::RequestBinding`] for a call that the profile cannot express.
    pub fn mcp(server: &str, metadata: &[impl AsRef<str>], params: &str) -> Result<Self, Reason> {
        mcp::canonical(server, metadata, params)
            .map(Self::of)
            .ok_or(Reason::RequestBinding)
    }

    /// Returns the text that the invoice's description hash commits to.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Returns SHA-256 of that text.
    #[must_use]
    pub const fn hash(&self) -> RequestHash {
        self.hash
    }

    pub(crate) fn into_canonical(self) -> String {
        self.canonical
    }

    fn of(canonical: String) -> Self {
        let hash = RequestHash(Sha256::digest(&canonical).into());
        Self { canonical, hash }
    }
}

/// SHA-256 of a request's canonical text. Displayed as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestHash([u8; 32]);

impl RequestHash {
    /// Creates a hash from its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for RequestHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for RequestHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestHash({self})")
    }
}
