//! Canonical JSON ([RFC 8785](https://www.rfc-editor.org/rfc/rfc8785.html)), over `serde_jcs`.

use super::json::Json;

/// The largest magnitude up to which each whole number has its own double.
const SAFE: u64 = (1 << 53) - 1;

/// Returns the canonical text, or `None` if a number is beyond 2^53 - 1.
///
/// The canonical text rounds such a number to a double. Two documents that differ for a handler
/// could then have the same canonical text.
pub fn canonical(value: &Json<'_>) -> Option<String> {
    is_exact(value).then(|| serde_jcs::to_string(value).ok())?
}

fn is_exact(value: &Json<'_>) -> bool {
    match value {
        Json::Null | Json::Bool(_) | Json::Text(_) => true,
        Json::Unsigned(value) => *value <= SAFE,
        Json::Signed(value) => value.unsigned_abs() <= SAFE,
        Json::Float(value) => value.abs() <= SAFE as f64,
        Json::Array(items) => items.iter().all(is_exact),
        Json::Object(members) => members.iter().all(|(_, value)| is_exact(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::parse;

    fn of(text: &str) -> Option<String> {
        canonical(&parse(text).unwrap())
    }

    #[test]
    fn the_examples_of_rfc_8785() {
        let text = r#"{"numbers":[333333333.33333329,1E+9,4.50,2e-3,0.000000000000000000000000001],
            "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
        let canonical = "{\"literals\":[null,true,false],\
            \"numbers\":[333333333.3333333,1000000000,4.5,0.002,1e-27],\
            \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(of(text).unwrap(), canonical);
    }

    #[test]
    fn names_are_sorted_by_their_utf_16_units() {
        // As UTF-8 the order of the last two would be the other way round.
        let text = "{\"\u{fb33}\":1,\"\u{1f600}\":2,\"\\r\":3,\"1\":4}";
        assert_eq!(
            of(text).unwrap(),
            "{\"\\r\":3,\"1\":4,\"\u{1f600}\":2,\"\u{fb33}\":1}"
        );
    }

    #[test]
    fn numbers_beyond_two_to_the_53_are_refused() {
        for good in [
            "9007199254740991",
            "-9007199254740991",
            "0.1",
            "-0.0",
            "1e15",
        ] {
            assert!(of(good).is_some(), "{good}");
        }
        for bad in [
            "9007199254740992",
            "-9007199254740993",
            "18446744073709551616",
            "[1e300]",
            "{\"a\":-1e16}",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(of("-0.0").unwrap(), "0");
        assert_eq!(of("5.0").unwrap(), "5");
    }
}
