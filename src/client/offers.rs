//! The offers in a 402.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use http_body::Body;

use crate::{
    body::{ReadError, read_to_end},
    codec::json::{self, Json},
    dialect::{
        HeaderLine,
        list::DIALECTS,
        offer::{ClientHalf, Offer},
    },
    payment::DialectName,
};

/// The most offers of one 402 that are looked at.
const MAX_OFFERS: usize = 16;

/// The most bytes of a 402's body that are read.
const MAX_BODY: usize = 64 * 1024;

/// How long a 402's body may take.
const BODY_TIME: Duration = Duration::from_secs(10);

/// How long a 402's body may take from which nothing is needed.
const REST_TIME: Duration = Duration::from_secs(1);

/// Returns the offers of a 402 in these dialects, the most preferred dialect first. The body counts
/// only if the headers have none. A short one is read in any case, so that its connection can be
/// used again.
pub(super) async fn offers<R: Body>(
    headers: &HeaderMap,
    body: R,
    dialects: &[DialectName],
) -> Vec<Box<dyn Offer>> {
    let found = in_headers(headers, dialects);
    if !found.is_empty() || !is_json(headers) {
        let is_short = body
            .size_hint()
            .upper()
            .is_some_and(|most| most <= MAX_BODY as u64);
        if is_short {
            let ignore = |_: &[u8]| Ok(());
            let _ = read_to_end(body, MAX_BODY, REST_TIME, |_| ReadError::Broken, ignore).await;
        }
        return found;
    }
    let mut text = Vec::new();
    let take = |piece: &[u8]| {
        text.extend_from_slice(piece);
        Ok(())
    };
    let read = read_to_end(body, MAX_BODY, BODY_TIME, |_| ReadError::Broken, take).await;
    match (read, String::from_utf8(text)) {
        (Ok(_), Ok(text)) => in_body(&text, dialects),
        _ => Vec::new(),
    }
}

fn in_headers(headers: &HeaderMap, dialects: &[DialectName]) -> Vec<Box<dyn Offer>> {
    let halves = dialects.iter().filter_map(half);
    let offers = halves.flat_map(|half| (half.in_headers)(headers));
    offers.take(MAX_OFFERS).collect()
}

/// The body of a 402 of this crate repeats every challenge, also those that its headers have no
/// room for. A body in a dialect's own form is that dialect's to read.
fn in_body(text: &str, dialects: &[DialectName]) -> Vec<Box<dyn Offer>> {
    let repeated = repeated(text).unwrap_or_default();
    let found = in_headers(&repeated, dialects);
    if !found.is_empty() {
        return found;
    }
    let halves = dialects.iter().filter_map(half);
    let offers = halves.flat_map(|half| (half.in_body)(text));
    offers.take(MAX_OFFERS).collect()
}

fn repeated(text: &str) -> Option<HeaderMap> {
    let members = json::parse(text).ok()?.into_object()?;
    let challenges = members.get("challenges")?.as_array()?;
    let line = |challenge: &Json<'_>| {
        let text = |name| challenge.as_object()?.get(name)?.as_str();
        let name = HeaderName::from_bytes(text("header")?.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(text("value")?).ok()?))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in challenges.iter().take(MAX_OFFERS).filter_map(line) {
        headers.append(name, value);
    }
    Some(headers)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

/// Returns the client's half of a dialect, if it is compiled in.
pub(super) fn half(dialect: &DialectName) -> Option<&'static ClientHalf> {
    let listed = DIALECTS.iter().find(|listed| listed.name == *dialect);
    listed.map(|listed| &listed.client)
}

/// Returns the line that tells a server that this client can pay in a dialect.
pub(super) fn announcement(dialect: &DialectName) -> Option<HeaderLine> {
    let (name, value) = half(dialect)?.announcement?;
    Some((
        HeaderName::from_static(name),
        HeaderValue::from_static(value),
    ))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    const X402: &str =
        r#"{"x402Version":2,"resource":{"url":"https://a/"},"accepts":[{"scheme":"exact"}]}"#;

    async fn of_body(kind: &'static str, body: &str) -> usize {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        let body = Full::new(bytes::Bytes::from(body.to_owned()));
        offers(&headers, body, &[DialectName::X402]).await.len()
    }

    #[tokio::test]
    async fn sixteen_offers_are_looked_at_and_no_more() {
        let mut headers = HeaderMap::new();
        for number in 0..1_000 {
            let line = format!("L402 macaroon=\"m{number}\", invoice=\"i\"");
            headers.append("www-authenticate", line.parse().unwrap());
        }
        let found = offers(
            &headers,
            Full::<bytes::Bytes>::default(),
            &[DialectName::L402],
        )
        .await;
        assert_eq!(found.len(), MAX_OFFERS);
    }

    #[tokio::test]
    async fn a_body_is_read_if_it_is_json_and_the_headers_offer_nothing() {
        assert_eq!(of_body("application/json; charset=utf-8", X402).await, 1);
        assert_eq!(of_body("text/html", X402).await, 0);
        let long = format!("{X402}{}", " ".repeat(MAX_BODY));
        assert_eq!(of_body("application/json", &long).await, 0);
    }

    #[tokio::test]
    async fn a_body_without_end_is_left_after_64_kib() {
        let frames = std::iter::repeat_with(|| {
            Ok::<_, Infallible>(Frame::data(bytes::Bytes::from(vec![b' '; 16 * 1024])))
        });
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let kind = HeaderValue::from_static("application/problem+json");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
        assert!(
            offers(&headers, body, &[DialectName::X402])
                .await
                .is_empty()
        );
    }
}
