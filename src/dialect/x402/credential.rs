//! `PAYMENT-SIGNATURE`, in both directions.

use std::fmt;

use http::HeaderValue;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{PaymentRequirements, Reason, wire::encode_header};
use crate::{
    codec::json::{self, Json, Object},
    payment::Preimage,
};

/// What a client sends after paying: the object `PaymentPayload` ([x402](super), "PaymentPayload
/// Schema").
#[derive(Clone)]
pub struct PaymentPayload<'a> {
    accepted: PaymentRequirements<'a>,
    payload: Object<'a>,
}

impl<'a> PaymentPayload<'a> {
    /// Reads the object from its JSON text. For a header see
    /// [`decode_header`](super::decode_header).
    ///
    /// # Errors
    ///
    /// [`Reason::InvalidVersion`] if `x402Version` is not the number 2. [`Reason::InvalidPayload`]
    /// if the text is not such an object or repeats a member.
    pub fn from_json(text: &'a str) -> Result<Self, Reason> {
        Self::of(json::parse(text).map_err(|_| Reason::InvalidPayload)?)
    }

    pub(crate) fn of(value: Json<'a>) -> Result<Self, Reason> {
        let mut members = value.into_object().ok_or(Reason::InvalidPayload)?;
        if members.get("x402Version") != Some(&Json::Unsigned(2)) {
            return Err(Reason::InvalidVersion);
        }
        let accepted = members
            .take("accepted")
            .and_then(PaymentRequirements::of)
            .ok_or(Reason::InvalidPayload)?;
        let payload = members
            .take("payload")
            .and_then(Json::into_object)
            .ok_or(Reason::InvalidPayload)?;
        Ok(Self { accepted, payload })
    }

    /// Returns the terms that the client says it accepted.
    #[must_use]
    pub const fn accepted(&self) -> &PaymentRequirements<'a> {
        &self.accepted
    }

    pub(super) fn preimage(&self) -> Option<&Json<'a>> {
        self.payload.get("preimage")
    }
}

/// Hides the preimage.
impl fmt::Debug for PaymentPayload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentPayload")
            .field("accepted", &self.accepted)
            .finish_non_exhaustive()
    }
}

/// What a client sends back besides the preimage.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Echo<'a> {
    pub(super) x402_version: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<&'a Json<'a>>,
    pub(super) accepted: &'a PaymentRequirements<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extensions: Option<&'a Json<'a>>,
}

impl Echo<'_> {
    /// Returns the JSON text of the whole payload without its last member and last brace.
    pub(super) fn text(&self) -> Option<String> {
        let mut text = serde_json::to_string(self).ok()?;
        text.pop();
        Some(text)
    }
}

/// Returns how long the header value for an echo will be.
pub(super) const fn encoded_len(echo: &str) -> usize {
    (echo.len() + PAYLOAD[0].len() + 64 + PAYLOAD[1].len()).div_ceil(3) * 4
}

/// The text before and after the preimage.
const PAYLOAD: [&str; 2] = [",\"payload\":{\"preimage\":\"", "\"}}"];

/// Returns the header value for an echo and the preimage that was paid for, marked as sensitive.
pub(super) fn header(echo: &str, preimage: &Preimage) -> Option<HeaderValue> {
    let preimage = Zeroizing::new(preimage.expose_hex());
    // The capacity is never exceeded: moving the text would leave a copy of the preimage behind.
    let mut text = Zeroizing::new(String::with_capacity(echo.len() + 128));
    [echo, PAYLOAD[0], &preimage, PAYLOAD[1]]
        .iter()
        .for_each(|part| text.push_str(part));
    let mut value = encode_header(&*text)?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_version_2_and_repeats_nothing() {
        let good = r#"{"x402Version":2,"accepted":{},"payload":{"preimage":"00"},"other":[]}"#;
        let payload = PaymentPayload::from_json(good).unwrap();
        assert_eq!(payload.preimage(), Some(&Json::text("00")));
        assert!(!format!("{payload:?}").contains("00"));
        for (bad, reason) in [
            (good.replace(":2,", ":1,"), Reason::InvalidVersion),
            (good.replace(":2,", ":2.0,"), Reason::InvalidVersion),
            (good.replace(":2,", ":\"2\","), Reason::InvalidVersion),
            (
                good.replace("\"00\"", "\"00\",\"preimage\":\"01\""),
                Reason::InvalidPayload,
            ),
            (
                good.replace("\"other\"", "\"payload\""),
                Reason::InvalidPayload,
            ),
            (
                good.replace("\"accepted\":{}", "\"accepted\":[]"),
                Reason::InvalidPayload,
            ),
            (
                good.replace("\"payload\"", "\"paid\""),
                Reason::InvalidPayload,
            ),
            (format!("[{good}]"), Reason::InvalidPayload),
        ] {
            assert_eq!(
                PaymentPayload::from_json(&bad).unwrap_err(),
                reason,
                "{bad}"
            );
        }
    }
}
