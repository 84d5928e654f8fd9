//! The layer's own answers to gRPC calls: trailers-only, without a body.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize;

/// What an answer says in gRPC: a code and a text.
#[derive(Debug)]
pub(in crate::server) struct GrpcStatus {
    code: u16,
    message: HeaderValue,
}

impl GrpcStatus {
    /// Returns the same as an HTTP answer of the layer says.
    pub(in crate::server) fn of(answer: &Response<Bytes>) -> Self {
        if answer.status() == StatusCode::PAYMENT_REQUIRED {
            // Exactly so: clients look for the code and this text.
            return Self::new(INTERNAL, "payment required");
        }
        let problem: Option<Told<'_>> = serde_json::from_slice(answer.body()).ok();
        let detail = problem.map_or(Cow::Borrowed(""), |problem| problem.detail);
        Self::new(code(answer.status()), &detail)
    }

    /// Returns what ends a stream when the time that was bought is over.
    pub(in crate::server) fn time_is_over() -> Self {
        Self::new(UNAUTHENTICATED, "the time that was bought is over")
    }

    fn new(code: u16, text: &str) -> Self {
        let mut most = text.len().min(MOST);
        while !text.is_char_boundary(most) {
            most -= 1;
        }
        let message = utf8_percent_encode(&text[..most], &ENCODED).to_string();
        Self {
            code,
            message: HeaderValue::try_from(message)
                .unwrap_or_else(|_| HeaderValue::from_static("")),
        }
    }

    /// Turns an HTTP answer into one without a body. Its other headers stay, and become metadata.
    pub(in crate::server) fn trailers_only(self, answer: Response<Bytes>) -> Response<Bytes> {
        let (mut head, _) = answer.into_parts();
        head.status = StatusCode::OK;
        let seconds = head.headers.get(header::RETRY_AFTER);
        let seconds = seconds.and_then(|wait| wait.to_str().ok()?.parse::<u64>().ok());
        if let Some(seconds) = seconds {
            let wait = HeaderValue::from(seconds.saturating_mul(1_000));
            head.headers.insert(RETRY_PUSHBACK, wait);
        }
        let grpc = HeaderValue::from_static("application/grpc");
        head.headers.insert(header::CONTENT_TYPE, grpc);
        self.write(&mut head.headers);
        Response::from_parts(head, Bytes::new())
    }

    /// Returns the trailers that end a stream.
    pub(in crate::server) fn trailers(self) -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(2);
        self.write(&mut trailers);
        trailers
    }

    fn write(self, headers: &mut HeaderMap) {
        headers.insert(GRPC_STATUS, self.code.into());
        headers.insert(GRPC_MESSAGE, self.message);
    }
}

/// Problem details, as this room writes them.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    detail: Cow<'a, str>,
}

/// Returns the gRPC code of an HTTP status. What says `INTERNAL` for a payment says something else
/// than `payment required` for a fault.
fn code(status: StatusCode) -> u16 {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::MISDIRECTED_REQUEST => INVALID_ARGUMENT,
        StatusCode::REQUEST_TIMEOUT => DEADLINE_EXCEEDED,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => UNIMPLEMENTED,
        // The client may send the call again, but not at once and by itself.
        StatusCode::CONFLICT => ABORTED,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::TOO_MANY_REQUESTS => RESOURCE_EXHAUSTED,
        StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        _ => INTERNAL,
    }
}

const INVALID_ARGUMENT: u16 = 3;
const DEADLINE_EXCEEDED: u16 = 4;
const RESOURCE_EXHAUSTED: u16 = 8;
const ABORTED: u16 = 10;
const UNIMPLEMENTED: u16 = 12;
const INTERNAL: u16 = 13;
const UNAVAILABLE: u16 = 14;
const UNAUTHENTICATED: u16 = 16;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The wait before a client's own retry, in milliseconds (gRPC proposal A6, "Pushback").
const RETRY_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// What `grpc-message` has percent-encoded (gRPC over HTTP/2, "Responses"): all but printable ASCII,
/// and `%` itself.
const ENCODED: AsciiSet = CONTROLS.add(b'%');

/// The longest text, in bytes before it is encoded.
const MOST: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::request::answers::problem;

    fn message(text: &str) -> String {
        let status = GrpcStatus::new(INVALID_ARGUMENT, text);
        String::from(status.message.to_str().unwrap())
    }

    #[test]
    fn a_message_is_percent_encoded_but_for_printable_ascii() {
        for (text, encoded) in [
            ("", ""),
            ("pages: a number", "pages: a number"),
            ("100 % of \"x\" #1?", "100 %25 of \"x\" #1?"),
            ("a\r\nb\tc\u{7f}", "a%0D%0Ab%09c%7F"),
            ("K\u{f6}ln", "K%C3%B6ln"),
        ] {
            assert_eq!(message(text), encoded);
        }
    }

    #[test]
    fn a_message_is_cut_between_two_letters() {
        for (text, letters) in [("a", 1_024), ("\u{f6}", 512), ("\u{20ac}", 341)] {
            let encoded = message(&text.repeat(2_000));
            assert_eq!(encoded, message(&text.repeat(letters)), "{text}");
        }
    }

    #[test]
    fn no_fault_asks_for_money() {
        let asks = |answer: &Response<Bytes>| {
            let told = GrpcStatus::of(answer);
            let text = told.message.to_str().unwrap().to_lowercase();
            assert!(told.code != 0 && !text.is_empty(), "{answer:?}");
            // Released clients pay for UNKNOWN too.
            [2, INTERNAL].contains(&told.code) && text.contains("payment required")
        };
        let text = "Payment required";
        for fault in [
            problem::bad_request(text),
            problem::misdirected(text),
            problem::unavailable(text),
            problem::misconfigured(),
            problem::not_found(),
            problem::in_use(),
            problem::too_often(Duration::ZERO),
            problem::too_many(1, None),
            problem::body_too_slow(),
            problem::body_too_large(1),
            problem::body_cut_off(),
            problem::methods(StatusCode::METHOD_NOT_ALLOWED, None),
        ] {
            assert!(!asks(&fault), "{fault:?}");
        }
        assert!(asks(&problem::answer(StatusCode::PAYMENT_REQUIRED, "")));
    }
}
