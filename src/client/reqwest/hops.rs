//! The redirects of one request.

use ::reqwest::{Body, Method, Request, Url};
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{
        AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, LOCATION,
        PROXY_AUTHORIZATION, TRANSFER_ENCODING,
    },
};

use crate::dialect::list::is_credential_field;

/// The most redirects that are followed.
const MOST: usize = 10;

/// The headers of the caller that stay with their origin.
const PRIVATE: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];

/// The headers that describe a body.
const OF_BODY: [HeaderName; 4] = [
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    TRANSFER_ENCODING,
];

/// Which redirects were followed.
pub(super) struct Hops {
    left: usize,
    timeout: Option<std::time::Duration>,
}

impl Hops {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            left: MOST,
            timeout: request.timeout().copied(),
        }
    }

    /// Keeps a request for the next hop. One whose body cannot be sent again is kept without it.
    pub(super) fn keep(&self, request: &Request) -> Option<(Request, bool)> {
        (self.left > 0).then_some(())?;
        if let Some(request) = request.try_clone() {
            return Some((request, true));
        }
        let mut head = Request::new(request.method().clone(), request.url().clone());
        *head.headers_mut() = request.headers().clone();
        *head.timeout_mut() = self.timeout;
        Some((head, false))
    }

    /// Returns the request to which an answer redirects. `None` if the answer is the last one: it
    /// redirects nowhere, or the body is needed and gone.
    pub(super) fn follow(
        &mut self,
        (mut request, has_body): (Request, bool),
        answer: &Response<Body>,
    ) -> Option<Request> {
        let location = answer.headers().get(LOCATION)?.to_str().ok()?;
        let mut to = request.url().join(location).ok()?;
        matches!(to.scheme(), "http" | "https").then_some(())?;
        let becomes_get = match answer.status() {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *request.method() == Method::POST,
            StatusCode::SEE_OTHER => *request.method() != Method::HEAD,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return None,
        };
        if becomes_get {
            *request.method_mut() = Method::GET;
            *request.body_mut() = None;
            OF_BODY
                .iter()
                .for_each(|name| drop(request.headers_mut().remove(name)));
        } else if !has_body {
            return None;
        }
        self.left -= 1;
        if to.fragment().is_none() {
            to.set_fragment(request.url().fragment());
        }
        if !is_same_origin(request.url(), &to) {
            let names: Vec<_> = request.headers().keys().cloned().collect();
            let headers = request.headers_mut();
            for name in names {
                let mut values = headers.get_all(&name).iter();
                let is_sensitive = values.any(HeaderValue::is_sensitive);
                if is_sensitive || PRIVATE.contains(&name) || is_credential_field(name.as_str()) {
                    headers.remove(&name);
                }
            }
        }
        *request.url_mut() = to;
        Some(request)
    }
}

/// Returns whether two URLs have the same scheme, host and port.
pub(super) fn is_same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}
