//! What is kept of an answer, as bytes.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, response};

use super::key::values;

/// Returns whether an answer with this head is kept. Failures are not asked here.
pub(in crate::server) fn is_keepable(method: &Method, head: &response::Parts) -> bool {
    let status = head.status;
    let is_stream = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| {
            let kind = kind.trim_start().to_ascii_lowercase();
            STREAMS.iter().any(|stream| kind.starts_with(stream))
        });
    // An inner 402 asks for another payment, with an invoice that ends.
    let is_final = !status.is_informational() && status != StatusCode::PAYMENT_REQUIRED;
    let has = |name| head.headers.contains_key(name);
    is_final
        && method != Method::CONNECT
        && !is_stream
        // A cookie begins a session with one client. Two holders of a credential must not share it.
        && !has(header::SET_COOKIE)
        && !has(header::TRAILER)
        && vary(&head.headers).is_some()
}

/// Media types of answers that may have no end or come bit by bit, or that need trailers.
const STREAMS: [&str; 7] = [
    "text/event-stream",
    "multipart/x-mixed-replace",
    "application/grpc",
    "application/x-ndjson",
    "application/jsonl",
    "application/json-seq",
    "application/stream+json",
];

/// Returns the request headers that an answer depends on, or `None` if it depends on more.
fn vary(headers: &HeaderMap) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for value in headers.get_all(header::VARY) {
        for name in value.to_str().ok()?.split(',').map(str::trim) {
            match name {
                "" => {}
                _ => names.push(HeaderName::from_bytes(name.as_bytes()).ok()?),
            }
        }
    }
    (names.len() <= MOST_NAMES && names.iter().all(|name| name.as_str() != "*")).then_some(names)
}

/// Returns an answer as bytes, with the values of the request headers that it depends on. `None` if
/// it cannot be kept.
pub(in crate::server) fn encode(
    head: &response::Parts,
    body: &[u8],
    asked: &HeaderMap,
) -> Option<Vec<u8>> {
    let named = named_by_connection(&head.headers);
    let kept = head
        .headers
        .iter()
        .filter(|(name, _)| !HOP_BY_HOP.contains(&name.as_str()) && !named.contains(name));
    let vary = vary(&head.headers)?;
    let mut bytes = vec![VERSION];
    bytes.extend(head.status.as_u16().to_be_bytes());
    bytes.extend(values(asked, vary.iter()));
    let mut count = 0_u16;
    let mut lines = Vec::new();
    for (name, value) in kept {
        count = count.checked_add(1)?;
        push(&mut lines, name.as_str().as_bytes())?;
        push(&mut lines, value.as_bytes())?;
    }
    bytes.extend(count.to_be_bytes());
    bytes.extend(lines);
    bytes.extend(body);
    Some(bytes)
}

/// Reads an answer for a request with these headers. `None` if the bytes are damaged, or if the
/// answer was for other values.
pub(super) fn decode(bytes: &Bytes, asked: &HeaderMap) -> Option<Response<Bytes>> {
    let mut rest = &bytes[..];
    let [version] = *take_array(&mut rest)?;
    (version == VERSION).then_some(())?;
    let status = StatusCode::from_u16(u16::from_be_bytes(*take_array(&mut rest)?)).ok()?;
    let asked_then: [u8; 32] = *take_array(&mut rest)?;
    let count = u16::from_be_bytes(*take_array(&mut rest)?);
    let mut headers = HeaderMap::new();
    for _ in 0..count {
        let name = HeaderName::from_bytes(take(&mut rest)?).ok()?;
        let value = HeaderValue::from_bytes(take(&mut rest)?).ok()?;
        headers.try_append(name, value).ok()?;
    }
    (asked_then == values(asked, vary(&headers)?.iter())).then_some(())?;
    let mut response = Response::new(bytes.slice_ref(rest));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Some(response)
}

/// The headers that `Connection` names: they are for the first connection alone.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(header::CONNECTION).into_iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect()
}

fn push(bytes: &mut Vec<u8>, part: &[u8]) -> Option<()> {
    bytes.extend(u16::try_from(part.len()).ok()?.to_be_bytes());
    bytes.extend(part);
    Some(())
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(*take_array(rest)?);
    let (part, after) = rest.split_at_checked(length.into())?;
    *rest = after;
    Some(part)
}

fn take_array<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (part, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(part)
}

/// Headers of a connection, and not of an answer (RFC 9110, "Connection").
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const VERSION: u8 = 1;
const MOST_NAMES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&'static str, &'static str)]) -> response::Parts {
        let mut response = Response::new(());
        for (name, value) in lines {
            let value = HeaderValue::from_static(value);
            response.headers_mut().append(*name, value);
        }
        response.into_parts().0
    }

    #[test]
    fn an_answer_is_read_as_it_was_without_what_belongs_to_a_connection() {
        let head = head(&[
            ("content-type", "a/b"),
            ("x-twice", "1"),
            ("x-twice", "2"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "h2c"),
            ("cache-control", "no-store"),
        ]);
        let asked = HeaderMap::new();
        let bytes = Bytes::from(encode(&head, b"body", &asked).unwrap());
        let answer = decode(&bytes, &asked).unwrap();
        assert_eq!(
            (answer.status(), &answer.body()[..]),
            (StatusCode::OK, &b"body"[..])
        );
        let names: Vec<_> = answer.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-type", "x-twice", "cache-control"]);
        let twice: Vec<_> = answer.headers().get_all("x-twice").iter().collect();
        assert_eq!(twice, ["1", "2"]);
        for end in 0..bytes.len() - 4 {
            assert!(
                decode(&bytes.slice(..end), &asked).is_none(),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn an_answer_is_read_only_for_the_values_that_it_depends_on() {
        let head = head(&[("vary", "X-Unit, accept"), ("vary", "")]);
        let asked = |unit: Option<&'static str>| {
            let unit = unit.map(|unit| ("x-unit".parse().unwrap(), HeaderValue::from_static(unit)));
            unit.into_iter().collect::<HeaderMap>()
        };
        for unit in [None, Some(""), Some("c"), Some("f")] {
            let bytes = Bytes::from(encode(&head, b"", &asked(unit)).unwrap());
            for other in [None, Some(""), Some("c"), Some("f")] {
                let is_read = decode(&bytes, &asked(other)).is_some();
                assert_eq!(is_read, unit == other, "{unit:?} {other:?}");
            }
        }
    }

    #[test]
    fn what_has_no_end_or_is_for_one_client_alone_is_not_kept() {
        let is_kept = |status: u16, lines: &[_]| {
            let mut head = head(lines);
            head.status = StatusCode::from_u16(status).unwrap();
            is_keepable(&Method::GET, &head)
        };
        for status in [200, 204, 206, 303, 304, 400, 404] {
            assert!(is_kept(status, &[("vary", "accept")]), "{status}");
        }
        for kind in ["application/json", "application/jsonp", "text/plain"] {
            assert!(is_kept(200, &[("content-type", kind)]), "{kind}");
        }
        for status in [101, 103, 402] {
            assert!(!is_kept(status, &[]), "{status}");
        }
        for line in [
            ("content-type", "text/event-stream"),
            ("content-type", "Text/Event-Stream; charset=utf-8"),
            ("content-type", "application/grpc+proto"),
            ("content-type", "multipart/x-mixed-replace; boundary=a"),
            ("content-type", "application/x-ndjson"),
            ("content-type", "application/jsonl; charset=utf-8"),
            ("content-type", "Application/JSON-Seq"),
            ("content-type", "application/stream+json"),
            ("set-cookie", "a=b"),
            ("trailer", "x-end"),
            ("vary", "*"),
            ("vary", "accept, *"),
            ("vary", "a b"),
        ] {
            assert!(!is_kept(200, &[line]), "{line:?}");
        }
        assert!(!is_keepable(&Method::CONNECT, &head(&[])));
    }
}
