//! The extension [`payment-identifier`](https://github.com/x402-foundation/x402/blob/main/specs/extensions/payment_identifier.md):
//! a client names its payment, so that the server counts it once.

use http::HeaderMap;

use super::{SIGNATURE, wire::decode_header};
use crate::codec::json;

/// What a challenge says if the server supports the extension: the member `extensions`
/// ("`PaymentRequired`").
pub(super) const OFFER: &str = r#","extensions":{"payment-identifier":{"info":{"required":false},"schema":{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"required":{"type":"boolean"},"id":{"type":"string","minLength":16,"maxLength":128}},"required":["required"]}}}"#;

/// Returns the identifier in a request's payload, if there is one ("`PaymentPayload`").
///
/// # Errors
///
/// If it is none ("`id` Format").
pub(super) fn in_headers(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    let text = headers
        .get(SIGNATURE)
        .and_then(|line| decode_header(line.as_bytes()));
    let Some(text) = text else { return Ok(None) };
    let Ok(payload) = json::parse(&text) else {
        return Ok(None);
    };
    let path = ["extensions", "payment-identifier", "info", "id"];
    let id = path
        .iter()
        .try_fold(&payload, |value, name| value.as_object()?.get(name));
    match id {
        None => Ok(None),
        Some(id) => id
            .as_str()
            .filter(|id| is_well_formed(id))
            .map(|id| Some(id.to_owned()))
            .ok_or("a payment-identifier has 16 to 128 letters, digits, hyphens and underscores"),
    }
}

fn is_well_formed(id: &str) -> bool {
    (16..=128).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::{super::wire::encode_header, *};
    use crate::codec::json::Json;

    fn read(extensions: &str) -> Result<Option<String>, &'static str> {
        let text = format!(r#"{{"x402Version":2,"extensions":{extensions}}}"#);
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE, encode_header(text).unwrap());
        in_headers(&headers)
    }

    #[test]
    fn an_identifier_has_16_to_128_characters_of_a_few_kinds() {
        let with = |id: &str| {
            read(&format!(
                r#"{{"payment-identifier":{{"info":{{"id":{id}}}}}}}"#
            ))
        };
        for good in ["pay_7d5d747be160e280", "AZaz09-_AZaz09-_", &"a".repeat(128)] {
            assert_eq!(with(&format!("\"{good}\"")), Ok(Some(good.to_owned())));
        }
        let long = "a".repeat(129);
        for bad in [
            "",
            "fifteen_letters",
            &long,
            "sixteen letters!",
            "sixteen.letters.",
        ] {
            assert!(with(&format!("\"{bad}\"")).is_err(), "{bad:?}");
        }
        for bad in ["1234567890123456", "null", "[]"] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_payload_without_one_is_as_good() {
        for none in [
            "{}",
            "null",
            r#"{"other":{"info":{"id":"a"}}}"#,
            r#"{"payment-identifier":{"info":{"required":false}}}"#,
            r#"{"payment-identifier":{"id":"a"}}"#,
        ] {
            assert_eq!(read(none), Ok(None), "{none}");
        }
        assert_eq!(in_headers(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn the_offer_is_json_and_says_that_no_identifier_is_required() {
        let text = format!("{{\"a\":1{OFFER}}}");
        let Ok(Json::Object(offer)) = json::parse(&text) else {
            panic!("no JSON: {text}");
        };
        let offer = offer
            .get("extensions")
            .and_then(|all| all.as_object()?.get("payment-identifier"));
        let info =
            offer.and_then(|offer| offer.as_object()?.get("info")?.as_object()?.get("required"));
        assert_eq!(info, Some(&Json::Bool(false)));
    }
}
