//! Profile `http:1`: the canonical text of an HTTP request.

use ::http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};

use super::url::http_url;
use crate::codec::hex;

/// The text is written out, not serialised: the members stand in their canonical order, and no text
/// in them needs an escape.
pub(super) fn canonical(
    method: &str,
    url: &str,
    body_hash: &[u8; 32],
    names: &[impl AsRef<str>],
    headers: &HeaderMap,
) -> Option<String> {
    (is_token(method) && are_bindable(names)).then_some(())?;
    let url = http_url(url)?;
    let mut text = String::with_capacity(190 + url.len() + 120 * names.len());
    text.push_str("{\"bodyHash\":\"");
    text.push_str(&hex::encode(body_hash));
    text.push_str("\",\"domain\":\"x402:exact:lnbtc:bolt11:http:1\",\"headers\":[");
    for (index, name) in names.iter().map(AsRef::as_ref).enumerate() {
        text.push_str(if index == 0 {
            "{\"name\":\""
        } else {
            ",{\"name\":\""
        });
        text.push_str(name);
        text.push_str("\",\"valueHash\":\"");
        text.push_str(&hex::encode(value_hash(headers, name)?));
        text.push_str("\"}");
    }
    text.push_str("],\"method\":\"");
    text.push_str(method);
    text.push_str("\",\"url\":\"");
    text.push_str(&url);
    text.push_str("\"}");
    Some(text)
}

/// Returns whether these can be bound headers: lower-case tokens, sorted, unique, without the
/// credential's own header.
pub(super) fn are_bindable(names: &[impl AsRef<str>]) -> bool {
    let mut last = "";
    names.iter().map(AsRef::as_ref).all(|name| {
        let fits = name > last
            && is_token(name)
            && !name.bytes().any(|b| b.is_ascii_uppercase())
            && name != "payment-signature";
        last = name;
        fits
    })
}

/// Hashes the value as RFC 9421, "HTTP Fields", makes it: lines trimmed and joined.
fn value_hash(headers: &HeaderMap, name: &str) -> Option<[u8; 32]> {
    let mut lines = headers
        .get_all(name)
        .iter()
        .map(HeaderValue::as_bytes)
        .peekable();
    if lines.peek().is_none() {
        return Some(Sha256::digest([0]).into());
    }
    let mut hash = Sha256::new_with_prefix([1]);
    for (index, line) in lines.enumerate() {
        line.iter()
            .all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
            .then_some(())?;
        hash.update(if index == 0 { "" } else { ", " });
        hash.update(line.trim_ascii());
    }
    Some(hash.finalize().into())
}

/// Returns whether a text is a token of RFC 9110, "Tokens".
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{jcs, json};

    proptest! {
        #[test]
        fn the_text_is_canonical_json(
            method in "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,9}",
            path in "/[A-Za-z0-9._~!$&'()*+,;=:@\\[\\]-]{0,40}(\\?[a-z=&/?]{0,20})?",
            names in proptest::collection::btree_set("[a-z!#$%&'*+.^_`|~-]{1,8}", 0..4),
            value in "[ -~\t]{0,20}",
        ) {
            let names: Vec<_> = names.into_iter().collect();
            let mut headers = HeaderMap::new();
            if let Some(name) = names.first() {
                headers.insert(::http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
            }
            let text = canonical(&method, &format!("https://api.example.com{path}"), &[7; 32], &names, &headers).unwrap();
            prop_assert_eq!(jcs::canonical(&json::parse(&text).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn the_credential_cannot_be_bound() {
        assert!(are_bindable(&["accept", "payment-signatures"]));
        for bad in [
            &["payment-signature"][..],
            &["a", "a"],
            &["b", "a"],
            &["A"],
            &[""],
            &["a b"],
        ] {
            assert!(!are_bindable(bad), "{bad:?}");
        }
    }
}
