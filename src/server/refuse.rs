//! Answers of the layer's own: problem details (RFC 9457), never cached.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::{
    dialect::{ChallengeLine, HeaderLine},
    payment::{Amount, DialectName, Network, Refusal, RefusalKind},
};

/// How long a client should wait where the fault is ours, in seconds.
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
        answer(StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body)
    }
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 402 with fresh challenges in these dialects, and with the reason where a credential was refused.
///
/// The body is written out, not serialised: no text in it needs an escape.
pub(super) fn payment_required(
    mut lines: Vec<ChallengeLine>,
    dialects: &[DialectName],
    amount: Amount,
    network: Network,
    refused: Option<&Refusal>,
    refusal_line: Option<HeaderLine>,
) -> Response<Bytes> {
    let (kind, title, detail) = problem(refused);
    let mut body = String::with_capacity(768);
    body.extend(["{\"type\":\"", kind, "\",\"title\":\"", title, "\",\"status\":402,\"detail\":\"", detail, "\""]);
    if let Some(refusal) = refused {
        body.extend([",\"dialect\":\"", refusal.dialect().as_str(), "\",\"reason\":\"", refusal.code(), "\""]);
    }
    body.push_str(",\"accepts\":[");
    let (mut digits, network, mut before) = (itoa::Buffer::new(), network.as_str(), "");
    let amount = digits.format(amount.as_msat());
    for dialect in dialects.iter().map(|dialect| dialect.as_str()) {
        body.extend([before, "{\"dialect\":\"", dialect, "\",\"amount_msat\":", amount, ",\"network\":\"", network, "\"}"]);
        before = ",";
    }
    body.push_str("]}");
    let mut response = answer(StatusCode::PAYMENT_REQUIRED, body);
    lines.sort_by_key(|line| line.rank);
    let headers = response.headers_mut();
    for line in lines {
        headers.append(line.name, line.value);
    }
    headers.extend(refusal_line);
    response
}

/// The core MPP problem for a refusal, its title, and what to do.
const fn problem(refused: Option<&Refusal>) -> (&'static str, &'static str, &'static str) {
    let Some(refused) = refused else {
        return (
            "https://paymentauth.org/problems/payment-required",
            "Payment required",
            "pay the invoice and send the credential with the same request",
        );
    };
    match refused.kind() {
        RefusalKind::Malformed => (
            "https://paymentauth.org/problems/malformed-credential",
            "The credential cannot be read",
            unreadable(refused.dialect()),
        ),
        RefusalKind::Expired => (
            "https://paymentauth.org/problems/payment-expired",
            "The credential has expired",
            "the credential has expired; pay the fresh invoice and send its credential",
        ),
        RefusalKind::Unpaid => (
            "https://paymentauth.org/problems/verification-failed",
            "The payment is not proven",
            "the credential does not prove that its invoice was paid; pay the fresh invoice and send its credential",
        ),
        RefusalKind::Spent => (
            "https://paymentauth.org/problems/invalid-challenge",
            "The payment is used up",
            "what this payment bought is used up; pay the fresh invoice and send its credential",
        ),
        RefusalKind::Unremembered => (
            "https://paymentauth.org/problems/invalid-challenge",
            "The invoice is older than this server's records",
            "the invoice is older than this server's store of spent payments, which cannot tell whether it was used; pay the fresh invoice and send its credential",
        ),
        RefusalKind::WrongRequest => (
            "https://paymentauth.org/problems/invalid-challenge",
            "Bought for another request",
            "the credential was bought for another request and is still good for that one; for this one pay the fresh invoice",
        ),
        RefusalKind::Forged | RefusalKind::Revoked => (
            "https://paymentauth.org/problems/invalid-challenge",
            "The credential is not accepted",
            "this server did not issue this credential, or it was changed or withdrawn; pay the fresh invoice and send its credential",
        ),
    }
}

const fn unreadable(dialect: DialectName) -> &'static str {
    macro_rules! in_the_form {
        ($form:literal) => {
            concat!(
                "the credential cannot be read; a payment already made is not lost: send its credential in the right form (`",
                $form,
                "`), or pay the fresh invoice"
            )
        };
    }
    match dialect {
        DialectName::L402 => in_the_form!("Authorization: L402 <macaroon>:<preimage in 64 hex digits>"),
        DialectName::Mpp => in_the_form!("Payment <base64url of a JSON object of challenge and payload>"),
        DialectName::X402 => in_the_form!("PAYMENT-SIGNATURE: <base64 of the JSON payment payload>"),
    }
}

fn plain(status: StatusCode, title: &'static str, detail: &str) -> Response<Bytes> {
    Problem { r#type: "about:blank", title, status: status.as_u16(), detail, reason: None }.answer()
}

/// 400: what no payment can cure.
pub(super) fn bad_request(detail: &str) -> Response<Bytes> {
    plain(StatusCode::BAD_REQUEST, "Bad request", detail)
}

/// 404: closed by `otherwise_refuse`.
pub(super) fn not_found() -> Response<Bytes> {
    plain(StatusCode::NOT_FOUND, "Not found", "nothing is served here")
}

/// 204 to OPTIONS; 405 to a method that no rule names.
pub(super) fn methods(status: StatusCode, allow: Option<HeaderValue>) -> Response<Bytes> {
    let mut response = if status.is_success() {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    } else {
        plain(status, "Method not allowed", "no rule of this server names this method for this path")
    };
    response.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
    response
}

/// 408: the body came too slowly.
pub(super) fn body_too_slow() -> Response<Bytes> {
    plain(StatusCode::REQUEST_TIMEOUT, "Request timeout", "the body did not arrive in time")
}

/// 413: the body is larger than what is read here.
pub(super) fn body_too_large(limit: usize) -> Response<Bytes> {
    plain(StatusCode::PAYLOAD_TOO_LARGE, "Content too large", &format!("the body must have at most {limit} bytes"))
}

/// 421: an authority that is not ours.
pub(super) fn misdirected(detail: &str) -> Response<Bytes> {
    plain(StatusCode::MISDIRECTED_REQUEST, "Misdirected request", detail)
}

/// 429: too many unpaid invoices.
pub(super) fn too_many(retry_after_seconds: u64, speaks_x402: bool) -> Response<Bytes> {
    let problem = Problem {
        r#type: "about:blank",
        title: "Too many unpaid invoices",
        status: 429,
        detail: "too many unpaid invoices: pay one of them, or wait until they expire",
        reason: speaks_x402.then_some("exact_lnbtc_invoice_issuance_denied"),
    };
    retry_after(problem.answer(), retry_after_seconds.max(1))
}

/// 429: a payment, or all those of a client, were presented too often.
pub(super) fn too_often(wait: Duration) -> Response<Bytes> {
    let detail = "credentials of this payment or this client came too often: wait, then send this one again";
    retry_after(plain(StatusCode::TOO_MANY_REQUESTS, "Too many requests", detail), wait.as_secs() + 1)
}

/// 500: the layer is placed or written wrongly; the log says how.
pub(super) fn misconfigured() -> Response<Bytes> {
    plain(StatusCode::INTERNAL_SERVER_ERROR, "Misconfigured", "this server's prices do not fit its routes; its log says how")
}

/// 503 without a challenge: the server is at fault, and nobody should pay for that.
pub(super) fn unavailable(detail: &'static str) -> Response<Bytes> {
    retry_after(plain(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable", detail), RETRY_AFTER)
}

fn retry_after(mut response: Response<Bytes>, seconds: u64) -> Response<Bytes> {
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}

/// Whether a header speaks to shared caches alone, most of which heed it before `Cache-Control`: every targeted field of
/// RFC 9213 (`CDN-Cache-Control`, `Cloudflare-CDN-Cache-Control`, `Akamai-Cache-Control`, `X-LiteSpeed-Cache-Control`), and those
/// that are older. Fields that only name an answer for a later purge (`Surrogate-Key`, `Cache-Tag`) permit nothing.
fn is_for_shared_caches(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.ends_with("-cache-control")
        || matches!(name, "edge-control" | "surrogate-control" | "x-accel-expires" | "x-reverse-proxy-ttl")
}

/// Keeps shared caches from serving to others what one person bought (decision 13).
pub(super) fn keep_private(headers: &mut HeaderMap) {
    while let Some(name) = headers.keys().find(|name| is_for_shared_caches(name)).cloned() {
        headers.remove(name);
    }
    let value = private_directives(headers).unwrap_or(HeaderValue::from_static("no-store"));
    headers.insert(header::CACHE_CONTROL, value);
}

/// What the handler said in `Cache-Control`, without what lets shared caches keep the answer, and with `private`; `None` if not
/// every cache would read that alike.
fn private_directives(headers: &HeaderMap) -> Option<HeaderValue> {
    let (mut kept, mut is_private, mut is_understood) = (Vec::new(), false, false);
    for value in headers.get_all(header::CACHE_CONTROL) {
        let mut is_quoted = false;
        let is_comma = |byte: &u8| {
            is_quoted ^= *byte == b'"';
            *byte == b',' && !is_quoted
        };
        let directives: Vec<_> = value.as_bytes().split(is_comma).map(<[u8]>::trim_ascii).collect();
        // After an open quote what is added would be part of a text; which one is open depends on who reads escapes.
        if is_quoted || value.as_bytes().contains(&b'\\') {
            return None;
        }
        for directive in directives {
            let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
            let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
            if directive.is_empty() || is("public") || is("s-maxage") {
                continue;
            }
            // `private="field"` covers that field alone, so it does not count.
            is_private |= directive.eq_ignore_ascii_case(b"private") || is("no-store");
            // A cache that knows it may store what says `no-store` (RFC 9111, "must-understand").
            is_understood |= is("must-understand");
            kept.push(directive);
        }
    }
    if kept.is_empty() {
        return Some(HeaderValue::from_static("private"));
    }
    if !is_private || is_understood {
        kept.push(b"private");
    }
    HeaderValue::from_bytes(&kept.join(&b", "[..])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(dialects: &[DialectName], refused: Option<&Refusal>) -> String {
        let amount = Amount::from_msat(1_500);
        let answer = payment_required(Vec::new(), dialects, amount, Network::Signet, refused, None);
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
        String::from_utf8(answer.into_body().to_vec()).unwrap()
    }

    #[test]
    fn the_body_of_a_402_is_exact() {
        let accepts = |dialect: &str| format!(r#"{{"dialect":"{dialect}","amount_msat":1500,"network":"signet"}}"#);
        let expected = format!(
            r#"{{"type":"https://paymentauth.org/problems/payment-required","title":"Payment required","status":402,"detail":"pay the invoice and send the credential with the same request","accepts":[{},{}]}}"#,
            accepts("l402"),
            accepts("x402")
        );
        assert_eq!(body(&[DialectName::L402, DialectName::X402], None), expected);
        let dialects = [DialectName::L402, DialectName::Mpp, DialectName::X402];
        for (kind, dialect) in RefusalKind::ALL.into_iter().flat_map(|kind| dialects.map(|dialect| (kind, dialect))) {
            let refusal = Refusal::new(dialect, kind, "some-code");
            let (uri, title, detail) = problem(Some(&refusal));
            let [uri, title, detail] = [uri, title, detail].map(|text| serde_json::to_string(text).unwrap());
            let expected = format!(
                r#"{{"type":{uri},"title":{title},"status":402,"detail":{detail},"dialect":"{dialect}","reason":"some-code","accepts":[{}]}}"#,
                accepts("mpp")
            );
            assert_eq!(body(&[DialectName::Mpp], Some(&refusal)), expected);
        }
    }

    #[test]
    fn shared_caches_are_kept_out() {
        for (given, kept) in [
            (&[][..], "private"),
            (&["public, max-age=60"], "max-age=60, private"),
            (&["PUBLIC", "s-maxage = 9, no-store"], "no-store"),
            (&["private, max-age=1"], "private, max-age=1"),
            (&["private=\"set-cookie\""], "private=\"set-cookie\", private"),
            (&["max-age=9, ext=\"a, private, no-store\""], "max-age=9, ext=\"a, private, no-store\", private"),
            (&["ext=\"a, public, b\", Public"], "ext=\"a, public, b\", private"),
            (&["max-age=9", "ext=\"a"], "no-store"),
            (&["ext=\"a\\\", private, b\""], "no-store"),
            (&["no-store, must-understand"], "no-store, must-understand, private"),
            (&["must-revalidate, proxy-revalidate", "immutable"], "must-revalidate, proxy-revalidate, immutable, private"),
        ] {
            let mut headers = HeaderMap::new();
            for value in given {
                headers.append(header::CACHE_CONTROL, HeaderValue::from_static(value));
            }
            for name in [
                "x-accel-expires",
                "cdn-cache-control",
                "cloudflare-cdn-cache-control",
                "vercel-cdn-cache-control",
                "netlify-cdn-cache-control",
                "akamai-cache-control",
                "x-litespeed-cache-control",
                "edge-control",
                "surrogate-control",
                "x-reverse-proxy-ttl",
            ] {
                headers.append(name, HeaderValue::from_static("max-age=60"));
                headers.append(name, HeaderValue::from_static("public"));
            }
            headers.insert("cache-tag", HeaderValue::from_static("a"));
            headers.insert(header::EXPIRES, HeaderValue::from_static("0"));
            keep_private(&mut headers);
            assert_eq!(headers.len(), 3, "{headers:?}");
            assert_eq!(headers[header::CACHE_CONTROL], kept);
            assert_eq!(headers.get_all(header::CACHE_CONTROL).iter().count(), 1);
        }
    }
}
