//! The JSON objects of the charge intent, exactly as specified, and how they are sent: base64url of
//! JSON.
//!
//! Members are declared in the order of their names and hold only strings. So what is written here
//! is canonical (RFC 8785) without a second pass, which a test checks. What is read need not be
//! canonical. A known member must not be repeated, and unknown ones are skipped.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    clock::Timestamp,
    codec::{base64, hex},
    payment::{Network, PaymentHash},
};

/// The `request` of a Lightning charge ([`lightning` method](super), "Request Schema").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ChargeRequest<'a> {
    /// The amount in whole satoshis, as decimal digits.
    #[serde(borrow)]
    pub amount: Cow<'a, str>,
    /// The currency: `sat`.
    #[serde(borrow)]
    pub currency: Cow<'a, str>,
    /// What is bought, for people.
    #[serde(
        borrow,
        default,
        deserialize_with = "optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub description: Option<Cow<'a, str>>,
    /// How to pay.
    #[serde(borrow, rename = "methodDetails", deserialize_with = "object")]
    pub method_details: MethodDetails<'a>,
}

/// The part of a request that is specific to Lightning.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct MethodDetails<'a> {
    /// The BOLT 11 invoice.
    #[serde(borrow)]
    pub invoice: Cow<'a, str>,
    /// The network: `mainnet` (also if it is missing), `regtest` or `signet`.
    #[serde(
        borrow,
        default,
        deserialize_with = "optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub network: Option<Cow<'a, str>>,
    /// The invoice's payment hash, as 64 lower-case hexadecimal digits.
    #[serde(
        borrow,
        default,
        rename = "paymentHash",
        deserialize_with = "optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub payment_hash: Option<Cow<'a, str>>,
}

/// What a server of this crate puts into `opaque`: a flat map of strings.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Opaque<'a> {
    /// The words for what the hash covers besides method and target. Missing for none.
    #[serde(borrow, default, deserialize_with = "optional")]
    pub(super) binds: Option<Cow<'a, str>>,
    /// `any` if no digest binds the body. Missing if the digest does, or the body is empty.
    #[serde(borrow, default, deserialize_with = "optional")]
    pub(super) body: Option<Cow<'a, str>>,
    /// The hash of what is bound, in base64url.
    #[serde(borrow)]
    pub(super) bound: Cow<'a, str>,
    /// The longest life of any credential for the same invoice, in Unix seconds.
    #[serde(borrow)]
    pub(super) until: Cow<'a, str>,
}

/// Returns the canonical JSON of a [`ChargeRequest`]. It is written out, not serialised, because no
/// text in it needs an escape.
pub(super) fn request(sat: u64, invoice: &str, network: &str, payment_hash: PaymentHash) -> String {
    [
        "{\"amount\":\"",
        itoa::Buffer::new().format(sat),
        "\",\"currency\":\"sat\",\"methodDetails\":{\"invoice\":\"",
        invoice,
        "\",\"network\":\"",
        network,
        "\",\"paymentHash\":\"",
        hex::encode_array(payment_hash.as_bytes()).as_str(),
        "\"}}",
    ]
    .concat()
}

/// Returns the canonical JSON of an [`Opaque`], likewise: no header name needs an escape.
pub(super) fn opaque(binds: &str, is_any_body: bool, bound: &[u8; 32], until: Timestamp) -> String {
    let bound = base64::encode_url(bound);
    let mut until_text = itoa::Buffer::new();
    let (before, after) = if binds.is_empty() {
        ("", "")
    } else {
        ("\"binds\":\"", "\",")
    };
    [
        "{",
        before,
        binds,
        after,
        if is_any_body { "\"body\":\"any\"," } else { "" },
        "\"bound\":\"",
        &bound,
        "\",\"until\":\"",
        until_text.format(until.as_unix_seconds()),
        "\"}",
    ]
    .concat()
}

/// The payload of a charge credential.
#[derive(Deserialize, Serialize)]
pub(super) struct Payload<'a> {
    /// 64 lower-case hexadecimal digits, if the credential is genuine.
    #[serde(borrow)]
    pub(super) preimage: Cow<'a, str>,
}

/// Returns base64url of the object's JSON, without padding.
pub(super) fn encode(object: &impl Serialize) -> Option<String> {
    let mut json = Vec::with_capacity(768);
    serde_json::to_writer(&mut json, object).ok()?;
    Some(base64::encode_url(json))
}

/// Reads an object that borrows nothing from base64url of JSON.
pub(super) fn decode<T: DeserializeOwned>(text: impl AsRef<[u8]>) -> Option<T> {
    from_json(&base64::decode_url(text)?)
}

/// Reads an object that may borrow from its JSON.
pub(super) fn from_json<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Option<T> {
    let mut json = serde_json::Deserializer::from_str(std::str::from_utf8(text).ok()?);
    let read = object(&mut json).ok()?;
    json.end().ok().map(|()| read)
}

/// Returns the value of `methodDetails.network`. Testnet has none.
pub(super) const fn network_name(network: Network) -> Option<&'static str> {
    match network {
        Network::Bitcoin => Some("mainnet"),
        Network::Regtest => Some("regtest"),
        Network::Signet => Some("signet"),
        Network::Testnet => None,
    }
}

/// Returns the moment in RFC 3339 and UTC. `None` beyond the year 9999.
pub(super) fn rfc3339(moment: Timestamp) -> Option<String> {
    let seconds = i64::try_from(moment.as_unix_seconds()).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()?
        .format(&Rfc3339)
        .ok()
}

/// Reads an RFC 3339 moment since 1970 as whole seconds. Its fraction is dropped.
pub(super) fn from_rfc3339(text: &str) -> Option<Timestamp> {
    let seconds = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp();
    u64::try_from(seconds)
        .ok()
        .map(Timestamp::from_unix_seconds)
}

/// Reads decimal digits as an encoder writes them: no sign, no leading zero.
pub(super) fn digits(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    canonical.then(|| text.parse().ok())?
}

/// Reads a `Content-Digest` of SHA-256 (RFC 9530): `sha-256=:...:`, or without the colons, as some
/// servers write it.
pub(super) fn digest(text: &str) -> Option<[u8; 32]> {
    let value = text.strip_prefix("sha-256=")?;
    let encoded = value
        .strip_prefix(':')
        .map_or(Some(value), |value| value.strip_suffix(':'))?;
    base64::decode_standard(encoded)?.try_into().ok()
}

/// Returns a `Content-Digest` as RFC 9530 defines it.
pub(super) fn digest_text(hash: &[u8; 32]) -> String {
    format!("sha-256=:{}:", base64::encode_standard(hash))
}

/// Reads an optional text that borrows if it can. Derived code would copy it.
pub(super) fn optional<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'a, str>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    Ok(Option::<Text<'a>>::deserialize(deserializer)?.map(|text| text.0))
}

/// Reads an object, and never an array of its values, which derived code would accept too.
pub(super) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    struct ObjectVisitor<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(ObjectVisitor(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_digits_are_exact() {
        assert_eq!(
            rfc3339(Timestamp::from_unix_seconds(1_773_576_300)).as_deref(),
            Some("2026-03-15T12:05:00Z")
        );
        for (text, seconds) in [
            ("2026-03-15T12:05:00Z", 1_773_576_300),
            ("2026-03-15T12:05:00.999Z", 1_773_576_300),
            ("2026-03-15T14:05:00+02:00", 1_773_576_300),
        ] {
            assert_eq!(
                from_rfc3339(text),
                Some(Timestamp::from_unix_seconds(seconds)),
                "{text}"
            );
        }
        for bad in [
            "",
            "1773576300",
            "2026-03-15",
            "2026-03-15T12:05:00",
            "1969-12-31T23:59:59Z",
            "2026-02-30T00:00:00Z",
        ] {
            assert_eq!(from_rfc3339(bad), None, "{bad}");
        }
        assert_eq!(rfc3339(Timestamp::MAX), None);
        assert_eq!(
            (digits("0"), digits("10"), digits("18446744073709551615")),
            (Some(0), Some(10), Some(u64::MAX))
        );
        for bad in [
            "",
            "+1",
            "-1",
            "01",
            "1.0",
            "1e3",
            " 1",
            "18446744073709551616",
        ] {
            assert_eq!(digits(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_digest_is_read_in_both_forms() {
        let text = digest_text(&[7; 32]);
        assert!(
            text.starts_with("sha-256=:") && text.ends_with(':'),
            "{text}"
        );
        assert_eq!(digest(&text), Some([7; 32]));
        assert_eq!(digest(&text.replace(':', "")), Some([7; 32]));
        let encoded = base64::encode_standard([7; 32]);
        for bad in [
            format!("sha-256=:{encoded}"),
            format!("sha-256={encoded}:"),
            format!("sha-512=:{encoded}:"),
            encoded,
        ] {
            assert_eq!(digest(&bad), None, "{bad}");
        }
        assert_eq!(digest("sha-256=:AAAA:"), None);
    }

    #[test]
    fn what_is_written_out_is_what_would_be_serialised() {
        let details = MethodDetails {
            invoice: "lnbcrt1".into(),
            network: Some("regtest".into()),
            payment_hash: Some("07".repeat(32).into()),
        };
        let request = ChargeRequest {
            amount: "21".into(),
            currency: "sat".into(),
            description: None,
            method_details: details,
        };
        let written = super::request(21, "lnbcrt1", "regtest", PaymentHash::from_bytes([7; 32]));
        assert_eq!(written, serde_json::to_string(&request).unwrap());
        let until = Timestamp::from_unix_seconds(9);
        let bound = "A".repeat(43);
        let read = |binds: Option<&'static str>, body: Option<&'static str>| Opaque {
            binds: binds.map(Into::into),
            body: body.map(Into::into),
            bound: bound.clone().into(),
            until: "9".into(),
        };
        let written = opaque("", false, &[0; 32], until);
        assert_eq!(
            written,
            format!("{{\"bound\":\"{bound}\",\"until\":\"9\"}}")
        );
        assert_eq!(from_json(written.as_bytes()), Some(read(None, None)));
        let written = opaque("@query,x-a", true, &[0; 32], until);
        assert_eq!(
            written,
            format!(
                "{{\"binds\":\"@query,x-a\",\"body\":\"any\",\"bound\":\"{bound}\",\"until\":\"9\"}}"
            )
        );
        assert_eq!(
            from_json(written.as_bytes()),
            Some(read(Some("@query,x-a"), Some("any")))
        );
    }

    #[test]
    fn what_is_written_is_canonical_and_borrows_when_read() {
        let request = ChargeRequest {
            amount: "100".into(),
            currency: "sat".into(),
            description: Some("a \"b\" \\ \u{1} \u{7f} é \u{2028} 😀 </b>".into()),
            method_details: MethodDetails {
                invoice: "lnbc1".into(),
                network: Some("mainnet".into()),
                payment_hash: Some("ab".into()),
            },
        };
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            serde_jcs::to_string(&request).unwrap()
        );
        let text = r#"{"methodDetails":{"invoice":"x","network":"y"},"amount":"1","currency":"sat","more":[{}]}"#;
        let read: ChargeRequest<'_> = from_json(text.as_bytes()).unwrap();
        assert!(
            matches!(read.amount, Cow::Borrowed(_))
                && matches!(read.method_details.network, Some(Cow::Borrowed(_)))
        );
        let array = text.replace(r#"{"invoice":"x","network":"y"}"#, r#"["x","y"]"#);
        for bad in [
            array,
            text.replace("more", "amount"),
            text.replace(r#""1""#, "1"),
            format!("{text} x"),
        ] {
            assert!(
                from_json::<ChargeRequest<'_>>(bad.as_bytes()).is_none(),
                "{bad}"
            );
        }
    }
}
