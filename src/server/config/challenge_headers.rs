//! The budget for the challenge headers of a 402.

use super::{ConfigError, PaywallBuilder};

/// No challenge is shorter than half of this.
const LEAST: usize = 1_024;

impl PaywallBuilder {
    /// Sets how many bytes all challenge headers of a 402 may have together (default 3,584), with
    /// names and line ends. Proxies and clients limit this sum. Stock nginx answers 502 if all
    /// headers of an answer exceed 4,096 bytes.
    ///
    /// If the challenges are longer, the 402 leaves out, until they fit:
    ///
    /// 1. the dialects that the request does not name, if it names one in `Accept-Payment` or
    ///    `Accept-Authenticate`,
    /// 2. the copy of L402's challenge for clients of `LSAT`, its older name,
    /// 3. optional members: MPP's description, and all that x402 says of the resource but its URL,
    /// 4. whole dialects: first MPP, because its clients send `Accept-Payment`, then the last named
    ///    in [`dialects`](Self::dialects). The dialect of a refused credential stays longest.
    ///
    /// One dialect always stays, the shortest if none fits. The body has every challenge in full.
    /// The log says once what was left out. If only clients and proxies that take more call this
    /// server, set more: for nginx `proxy_buffer_size 16k;` and 15,000 here. 16 KiB is the limit of
    /// Node.js clients and of HAProxy, for all headers.
    ///
    /// [`build`](Self::build) refuses less than 1,024.
    pub fn challenge_header_bytes(mut self, bytes: usize) -> Self {
        self.challenge_header_bytes = bytes;
        self
    }

    pub(super) fn challenge_headers_fit(&self) -> Result<(), ConfigError> {
        let bytes = self.challenge_header_bytes;
        if bytes < LEAST {
            return Err(ConfigError::new(format!(
                "hardly any challenge fits .challenge_header_bytes({bytes}): set at least {LEAST}"
            )));
        }
        Ok(())
    }
}
