//! Which headers make a request another one.

use http::HeaderMap;

use crate::codec::parts::hash_of_parts;

/// Returns SHA-256 of the caller's headers: a server may bind a payment to any of them. Those that
/// differ each time the same request is made are left out, as no server can bind them.
pub(super) fn digest(headers: &HeaderMap) -> [u8; 32] {
    let mut names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
    names.retain(|name| !VOLATILE.contains(name));
    names.sort_unstable();
    hash_of_parts(names.into_iter().flat_map(|name| {
        let values = headers.get_all(name).into_iter();
        values.flat_map(move |value| [name.as_bytes(), value.as_bytes()])
    }))
}

/// What tracing libraries and HTTP clients set anew for each attempt.
const VOLATILE: [&str; 14] = [
    "b3",
    "baggage",
    "connection",
    "content-length",
    "date",
    "host",
    "sentry-trace",
    "traceparent",
    "tracestate",
    "x-amzn-trace-id",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-correlation-id",
    "x-request-id",
];

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn of(lines: &[(&'static str, &'static str)]) -> [u8; 32] {
        let lines = lines.iter();
        let line = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines.map(line) {
            headers.append(name, value);
        }
        digest(&headers)
    }

    #[test]
    fn each_header_and_value_counts_and_the_order_of_names_and_what_traces_set_do_not() {
        let accept = of(&[("accept", "a"), ("x-b", "c")]);
        assert_eq!(accept, of(&[("x-b", "c"), ("accept", "a")]));
        let traced = [
            ("traceparent", "00-1"),
            ("x-b", "c"),
            ("accept", "a"),
            ("date", "x"),
        ];
        assert_eq!(accept, of(&traced));
        for other in [
            of(&[]),
            of(&[("accept", "a")]),
            of(&[("accept", "b"), ("x-b", "c")]),
            of(&[("accept", "a"), ("accept", "a"), ("x-b", "c")]),
            of(&[("accept", "ax-bc")]),
        ] {
            assert_ne!(accept, other);
        }
    }
}
