//! Problem details, and the answers without a challenge. Every text is for the client: what the
//! operator should do goes to the log.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::server::routes::triage::Unpriced;

/// How long a client should wait after a fault of the server, in seconds.
const RETRY_AFTER: u64 = 5;

#[derive(Debug, Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl Problem<'_> {
    fn answer(&self) -> Response<Bytes> {
        let mut body = Vec::with_capacity(512);
        if serde_json::to_writer(&mut body, self).is_err() {
            body.clear();
        }
        answer(
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            body,
        )
    }
}

pub(in crate::server) fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn plain(status: StatusCode, title: &'static str, detail: &str) -> Response<Bytes> {
    Problem {
        r#type: "about:blank",
        title,
        status: status.as_u16(),
        detail,
        reason: None,
    }
    .answer()
}

/// 400: a request that no payment can make right.
pub(in crate::server) fn bad_request(detail: &str) -> Response<Bytes> {
    plain(StatusCode::BAD_REQUEST, "Bad request", detail)
}

/// 404: a path that `otherwise_refuse` closes.
pub(in crate::server) fn not_found() -> Response<Bytes> {
    plain(StatusCode::NOT_FOUND, "Not found", "nothing is served here")
}

/// Answers a request that no rule prices and that is not free.
pub(in crate::server) fn unpriced(why: Unpriced) -> Response<Bytes> {
    match why {
        Unpriced::BadRequest(detail) => bad_request(detail),
        Unpriced::NotFound => not_found(),
        Unpriced::Methods(status, allow) => methods(status, allow),
        Unpriced::Misconfigured => misconfigured(),
    }
}

/// 204 for `OPTIONS`, 405 for a method that no rule names.
pub(in crate::server) fn methods(
    status: StatusCode,
    allow: Option<HeaderValue>,
) -> Response<Bytes> {
    let mut response = if status.is_success() {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    } else {
        plain(
            status,
            "Method not allowed",
            "no rule of this server names this method for this path",
        )
    };
    response
        .headers_mut()
        .extend(allow.map(|allow| (header::ALLOW, allow)));
    response
}

/// 408: the body came too slowly.
pub(in crate::server) fn body_too_slow() -> Response<Bytes> {
    plain(
        StatusCode::REQUEST_TIMEOUT,
        "Request timeout",
        "the body did not arrive in time",
    )
}

/// 409: what the credential bought is being served. There is no challenge: nobody should pay again
/// because a machine on the way repeated a request.
pub(in crate::server) fn in_use() -> Response<Bytes> {
    let detail = "a request with this payment is being served: wait for its answer, and do not pay again meanwhile";
    retry_after(
        plain(StatusCode::CONFLICT, "The payment is in use", detail),
        RETRY_AFTER,
    )
}

/// 409: the identifier that the client gave its payment stands for another payment.
pub(in crate::server) fn identifier_taken() -> Response<Bytes> {
    let detail = "another payment for this request has this payment-identifier: send the payload that it was first sent with, \
                  or a new identifier";
    plain(
        StatusCode::CONFLICT,
        "The payment identifier is taken",
        detail,
    )
}

/// 413: the body is larger than the limit.
pub(in crate::server) fn body_too_large(limit: usize) -> Response<Bytes> {
    plain(
        StatusCode::PAYLOAD_TOO_LARGE,
        "Content too large",
        &format!("the body must have at most {limit} bytes"),
    )
}

/// 413: the body is longer than a layer further out allows.
pub(in crate::server) fn body_cut_off() -> Response<Bytes> {
    plain(
        StatusCode::PAYLOAD_TOO_LARGE,
        "Content too large",
        "the body has more bytes than this server allows: send a shorter one",
    )
}

/// 421: the request names another server.
pub(in crate::server) fn misdirected(detail: &str) -> Response<Bytes> {
    plain(
        StatusCode::MISDIRECTED_REQUEST,
        "Misdirected request",
        detail,
    )
}

/// 429: too many unpaid invoices.
pub(in crate::server) fn too_many(
    retry_after_seconds: u64,
    reason: Option<&'static str>,
) -> Response<Bytes> {
    let problem = Problem {
        r#type: "about:blank",
        title: "Too many unpaid invoices",
        status: 429,
        detail: "this client holds as many unredeemed invoices as it may: pay one and send its credential, then ask again after Retry-After",
        reason,
    };
    retry_after(problem.answer(), retry_after_seconds.max(1))
}

/// 429: a payment, or all those of a client, were presented too often.
pub(in crate::server) fn too_often(wait: Duration) -> Response<Bytes> {
    let detail =
        "too many credentials of this payment or this client: wait, then send this one again";
    retry_after(
        plain(StatusCode::TOO_MANY_REQUESTS, "Too many requests", detail),
        wait.as_secs() + 1,
    )
}

/// 500: the layer is placed or configured wrongly. The log says how.
pub(in crate::server) fn misconfigured() -> Response<Bytes> {
    plain(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Misconfigured",
        "this server is misconfigured",
    )
}

/// 503 without a challenge: clients are never asked to pay for a server fault.
pub(in crate::server) fn unavailable(detail: &'static str) -> Response<Bytes> {
    retry_after(
        plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "Service unavailable",
            detail,
        ),
        RETRY_AFTER,
    )
}

fn retry_after(mut response: Response<Bytes>, seconds: u64) -> Response<Bytes> {
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, seconds.into());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_too_short() {
        for (millis, told) in [(0, "1"), (999, "1"), (1_000, "2"), (2_500, "3")] {
            let answer = too_often(Duration::from_millis(millis));
            assert_eq!(answer.headers()[header::RETRY_AFTER], told, "{millis} ms");
        }
    }

    #[test]
    fn nobody_is_asked_to_come_back_at_once() {
        for (seconds, told) in [(0, "1"), (1, "1"), (2, "2")] {
            assert_eq!(too_many(seconds, None).headers()[header::RETRY_AFTER], told);
        }
    }
}
