use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE, request::Parts};

use super::{
    keys::OriginKeys,
    route::{Captures, Route},
};

/// The parts of a request that a dialect may look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestView<'a> {
    /// What carries the request.
    pub(crate) carrier: Carrier<'a>,
    /// The configured public origin that the request was made to, as `https://api.example.com`. It
    /// is never taken from the request.
    pub(crate) origin: &'a str,
    /// The target as it was requested: raw path and query, with a leading slash.
    pub(crate) target: &'a str,
    /// The same as the client wrote it, if a proxy or a layer outside changed it.
    pub(crate) client_target: Option<&'a str>,
    /// The prefix and pattern of the rule that prices this request.
    pub(crate) route: Route<'a>,
    /// What that pattern captured.
    pub(crate) captures: Captures<'a>,
    /// The keys of this origin.
    pub(crate) keys: &'a OriginKeys,
    /// SHA-256 of the body, once it is known.
    pub(crate) body_hash: Option<[u8; 32]>,
}

/// What carries a request and its credentials.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carrier<'a> {
    /// The head of an HTTP request, as the server received it.
    Http(&'a Parts),
}

impl<'a> RequestView<'a> {
    /// Returns the headers in which a client presents a credential and says what it accepts.
    pub(crate) const fn headers(&self) -> &'a HeaderMap {
        let Carrier::Http(head) = self.carrier;
        &head.headers
    }

    /// Returns the method that a payment is bound to.
    pub(crate) fn method(&self) -> &'a str {
        let Carrier::Http(head) = self.carrier;
        head.method.as_str()
    }

    /// Returns the target as the client wrote it.
    #[cfg(feature = "x402")]
    pub(crate) fn client_target(&self) -> &'a str {
        self.client_target.unwrap_or(self.target)
    }

    /// Returns the query that the inner service will see.
    pub(crate) fn query(&self) -> &'a str {
        let Carrier::Http(head) = self.carrier;
        head.uri.query().unwrap_or_default()
    }

    /// Returns whether the request says that its body is a form in parts. Clients make a new
    /// boundary for each try, so they cannot send such a body twice.
    pub(crate) fn is_multipart(&self) -> bool {
        let value = self.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let essence = value.and_then(|value| value.split(|byte| *byte == b';').next());
        essence.is_some_and(|essence| {
            essence
                .trim_ascii()
                .eq_ignore_ascii_case(b"multipart/form-data")
        })
    }

    /// Returns the name and port of the origin.
    pub(crate) fn authority(&self) -> &'a str {
        authority(self.origin)
    }
}

/// Returns the name and port of an origin.
pub(crate) fn authority(origin: &str) -> &str {
    origin
        .split_once("://")
        .map_or(origin, |(_, authority)| authority)
}
