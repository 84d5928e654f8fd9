use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::caches::is_for_shared_caches;
use crate::{dialect::list::answer_fields, payment::Refusal, trace};

/// An answer that does not come from the inner service, as the function of
/// [`PaywallBuilder::answers`](super::PaywallBuilder::answers) sees it.
///
/// The function may set the body, its content type and further headers. It cannot change the status
/// or a header that the layer has set. It also cannot add challenges, receipts, `Retry-After`,
/// `Allow` and directives for caches. The same holds for `Content-Type` (use
/// [`set_body`](Self::set_body)), for headers of the transfer and the connection, such as
/// `Content-Length`, and for gRPC's own (`grpc-..`).
///
/// For a route that is a gRPC method ([`Charge::grpc`](super::Charge::grpc)) the function sees the
/// answer as it would be in HTTP. Further headers become metadata. The body is not sent.
pub struct OwnAnswer {
    response: Response<Bytes>,
    body: Option<(HeaderValue, Bytes)>,
    headers: HeaderMap,
}

impl OwnAnswer {
    /// Sets the body and its content type. Does nothing if the status is 204, which has no body.
    pub fn set_body(&mut self, content_type: HeaderValue, body: impl Into<Bytes>) {
        if self.status() != StatusCode::NO_CONTENT {
            self.body = Some((content_type, body.into()));
        }
    }

    /// Sets a further header, in place of an earlier value of this function.
    ///
    /// Returns `false` and changes nothing if the header is one that the function may not set.
    pub fn set_header(&mut self, name: HeaderName, value: HeaderValue) -> bool {
        let is_free = !self.response.headers().contains_key(&name) && !is_reserved(&name);
        if is_free {
            self.headers.insert(name, value);
        }
        is_free
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Returns the headers that the layer has set.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns the body that the layer has set: problem details (RFC 9457), or nothing.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        self.response.body()
    }

    /// Returns why the credential of the request was refused, if it had one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.response.extensions().get()
    }

    fn changed(self) -> Response<Bytes> {
        let mut response = self.response;
        if let Some((content_type, body)) = self.body {
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, content_type);
            *response.body_mut() = body;
        }
        response.headers_mut().extend(self.headers);
        response
    }
}

impl fmt::Debug for OwnAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnAnswer")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// Whether the function may not add this header, although the layer has not set it.
fn is_reserved(name: &HeaderName) -> bool {
    [
        header::ALLOW,
        header::CACHE_CONTROL,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::EXPIRES,
        header::PRAGMA,
        header::RETRY_AFTER,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::WWW_AUTHENTICATE,
    ]
    .contains(name)
        || name.as_str().starts_with("grpc-")
        || answer_fields().any(|own| own == *name)
        || is_for_shared_caches(name)
}

/// The operator's function that changes the layer's own answers.
#[derive(Clone)]
pub(in crate::server) struct AnswerHook(Arc<dyn Fn(&mut OwnAnswer) + Send + Sync>);

impl AnswerHook {
    pub(in crate::server) fn new(hook: impl Fn(&mut OwnAnswer) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    /// Returns the answer with what the function sets, or unchanged if the function panics.
    pub(in crate::server) fn change(&self, response: Response<Bytes>) -> Response<Bytes> {
        let mut answer = OwnAnswer {
            response,
            body: None,
            headers: HeaderMap::new(),
        };
        match catch_unwind(AssertUnwindSafe(|| (self.0)(&mut answer))) {
            Ok(()) => answer.changed(),
            Err(_) => {
                trace::error(format_args!(
                    "the function of .answers(..) panicked, so an answer was sent unchanged"
                ));
                answer.response
            }
        }
    }
}

impl fmt::Debug for AnswerHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerHook").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_the_layer_has_set_stays_whatever_its_name() {
        let (name, value) = (
            HeaderName::from_static("x-own"),
            HeaderValue::from_static("a"),
        );
        let mut response = Response::new(Bytes::new());
        response.headers_mut().insert(name.clone(), value.clone());
        let other = name.clone();
        let hook = AnswerHook::new(move |answer| {
            assert!(!answer.set_header(other.clone(), HeaderValue::from_static("b")));
            answer.set_body(HeaderValue::from_static("text/plain"), "seen");
        });
        let changed = hook.change(response);
        assert_eq!(
            (&changed.headers()[&name], &changed.body()[..]),
            (&value, &b"seen"[..])
        );
    }
}
