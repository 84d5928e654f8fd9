//! Profile `mcp:1`: the canonical text of an MCP tool call.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::url::is_absolute_uri;
use crate::codec::{
    hex, jcs,
    json::{self, Json, Object},
};

pub(super) fn canonical(
    server: &str,
    metadata: &[impl AsRef<str>],
    params: &str,
) -> Option<String> {
    (is_absolute_uri(server) && are_bindable(metadata)).then_some(())?;
    let mut params = json::parse(params).ok()?.into_object()?;
    let name = params
        .take("name")
        .filter(|name| name.as_str().is_some_and(|name| !name.is_empty()))?;
    let arguments = object(params.take("arguments"))?;
    let given = object(params.take("_meta"))?;
    let entry = |name: &str| {
        let hash = hex::encode(value_hash(given.get(name))?);
        Some(Json::Object(
            [
                ("name", Json::text(name.to_owned())),
                ("valueHash", Json::text(hash)),
            ]
            .into_iter()
            .collect(),
        ))
    };
    let entries = metadata
        .iter()
        .map(|name| entry(name.as_ref()))
        .collect::<Option<Vec<_>>>()?;
    jcs::canonical(&Json::Object(
        [
            ("arguments", Json::Object(arguments)),
            ("domain", Json::text("x402:exact:lnbtc:bolt11:mcp:1")),
            ("metadata", Json::Array(entries)),
            ("method", Json::text("tools/call")),
            ("name", name),
            ("server", Json::text(Cow::Borrowed(server))),
        ]
        .into_iter()
        .collect(),
    ))
}

/// Returns whether these can be bound members of `_meta`: sorted as canonical JSON sorts, unique,
/// without the payment's own members.
pub(super) fn are_bindable(names: &[impl AsRef<str>]) -> bool {
    let names = || names.iter().map(AsRef::as_ref);
    names().all(|name: &str| !matches!(name, "" | "x402/payment" | "progressToken"))
        && names()
            .zip(names().skip(1))
            .all(|(a, b)| a.encode_utf16().lt(b.encode_utf16()))
}

/// A missing value is an empty object. `null`, like anything else, is not an object.
fn object(value: Option<Json<'_>>) -> Option<Object<'_>> {
    value.map_or_else(|| Some(Object::default()), Json::into_object)
}

fn value_hash(value: Option<&Json<'_>>) -> Option<[u8; 32]> {
    let Some(value) = value else {
        return Some(Sha256::digest([0]).into());
    };
    Some(
        Sha256::new_with_prefix([1])
            .chain_update(jcs::canonical(value)?)
            .finalize()
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "https://api.example.com/mcp";

    fn bound(params: &str) -> Option<String> {
        canonical(SERVER, &["account"], params)
    }

    #[test]
    fn white_space_and_the_order_of_members_do_not_matter() {
        let one = bound(
            r#"{"name":"t","arguments":{"a":1,"b":[1.0]},"_meta":{"account":{"x":1,"y":2},"progressToken":7}}"#,
        );
        let other = bound(
            r#" { "_meta":{"account":{"y":2, "x":1}}, "arguments" : {"b":[1],"a":1.0}, "name":"t"}"#,
        );
        assert_eq!(one.unwrap(), other.unwrap());
    }

    #[test]
    fn what_two_readers_may_read_differently_is_not_bound() {
        for bad in [
            r#"{"name":"t","arguments":{"a":1,"a":2}}"#,
            r#"{"name":"t","name":"u"}"#,
            r#"{"name":"t","arguments":{"a":9007199254740993}}"#,
            r#"{"name":"t","_meta":{"account":1e20}}"#,
            r#"{"name":1}"#,
            r#"{"arguments":{}}"#,
            r#"["t"]"#,
        ] {
            assert_eq!(bound(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_server_is_an_absolute_uri() {
        for good in [SERVER, "mcp://tool/x", "urn:example:mcp", "stdio:server"] {
            assert!(
                canonical(good, &[""; 0], r#"{"name":"t"}"#).is_some(),
                "{good}"
            );
        }
        for bad in [
            "",
            "api.example.com/mcp",
            "/mcp",
            "https://u@h/",
            "https://h/#f",
            "https://h/é",
            "mcp:",
            "1a:b",
        ] {
            assert!(
                canonical(bad, &[""; 0], r#"{"name":"t"}"#).is_none(),
                "{bad}"
            );
        }
    }
}
