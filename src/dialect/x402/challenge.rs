//! `PAYMENT-REQUIRED`, in both directions ([x402](super), "PaymentRequired Schema").

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use super::{
    PaymentRequirements, REQUIRED,
    credential::Echo,
    identifier::OFFER,
    wire::{MAX_HEADER, decode_header, encode_header},
};
use crate::{
    codec::{
        hex,
        json::{self, Json, Object},
    },
    payment::{Amount, Invoice, Resource},
};

/// One way to pay that a server offers: what it claims, not yet checked. See
/// [`Payable::check`](super::Payable::check).
///
/// The specification's `PaymentRequired` object lists several ways to pay; each is a challenge.
#[derive(Clone, Debug)]
pub struct Challenge {
    accepted: PaymentRequirements<'static>,
    shared: Arc<Shared>,
}

/// What all ways to pay of one `PaymentRequired` have in common.
#[derive(Debug)]
struct Shared {
    error: Option<Json<'static>>,
    resource: Json<'static>,
    extensions: Option<Json<'static>>,
}

impl Challenge {
    /// The most ways to pay that are read from one response. A `PaymentRequired` with more of them
    /// is not read at all.
    pub const MAX_PER_RESPONSE: usize = 64;

    /// Reads the challenges in a response's `PAYMENT-REQUIRED` lines, in their order: of any scheme,
    /// at most [`MAX_PER_RESPONSE`](Self::MAX_PER_RESPONSE). A line that cannot be read is skipped.
    #[must_use]
    pub fn in_headers(headers: &HeaderMap) -> Vec<Self> {
        let lines = headers
            .get_all(REQUIRED)
            .into_iter()
            .take(MAX_LINES)
            .filter_map(|line| decode_header(line.as_bytes()));
        lines
            .flat_map(|text| Self::in_json(&text))
            .take(Self::MAX_PER_RESPONSE)
            .collect()
    }

    /// Reads the challenges in the JSON text of a `PaymentRequired` object, as an MCP server sends
    /// it.
    ///
    /// Returns an empty list if the text is not such an object of version 2, or repeats a member.
    /// The same holds for more than 64 KiB, and for more than
    /// [`MAX_PER_RESPONSE`](Self::MAX_PER_RESPONSE) ways to pay.
    #[must_use]
    pub fn in_json(text: &str) -> Vec<Self> {
        Self::read(text).unwrap_or_default()
    }

    fn read(text: &str) -> Option<Vec<Self>> {
        (text.len() <= MAX_HEADER).then_some(())?;
        let mut members = json::parse(text).ok()?.into_object()?;
        (members.get("x402Version") == Some(&Json::Unsigned(2))).then_some(())?;
        let Json::Array(accepts) = members.take("accepts")? else {
            return None;
        };
        (accepts.len() <= Self::MAX_PER_RESPONSE).then_some(())?;
        let resource = members.take("resource")?;
        resource.as_object()?;
        let shared = Arc::new(Shared {
            error: members.take("error").map(Json::into_owned),
            resource: resource.into_owned(),
            extensions: members.take("extensions").map(Json::into_owned),
        });
        let challenge = |accepted| {
            Some(Self {
                accepted: PaymentRequirements::of(accepted)?.into_owned(),
                shared: Arc::clone(&shared),
            })
        };
        accepts.into_iter().map(challenge).collect()
    }

    /// Returns why the server asks for payment, in its own words.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.shared.error.as_ref()?.as_str()
    }

    /// Returns the URL of the request, as the server sees it.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.resource()?.get("url")?.as_str()
    }

    pub(super) fn resource(&self) -> Option<&Object<'static>> {
        self.shared.resource.as_object()
    }

    /// Returns the terms of this way to pay.
    #[must_use]
    pub const fn accepted(&self) -> &PaymentRequirements<'static> {
        &self.accepted
    }

    /// What the payer sends back.
    pub(super) fn echo(&self) -> Echo<'_> {
        Echo {
            x402_version: 2,
            resource: Some(&self.shared.resource),
            accepted: &self.accepted,
            extensions: self.shared.extensions.as_ref(),
        }
    }
}

/// How many lines of a response a client looks at.
const MAX_LINES: usize = 16;

/// What a challenge says, for the one invoice that it is made for.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) error: &'a str,
    pub(super) url: &'a str,
    pub(super) resource: &'a Resource,
    pub(super) bound_headers: &'a [String],
    pub(super) amount: Amount,
    pub(super) pay_to: &'a [u8; 33],
    pub(super) invoice: &'a Invoice,
    pub(super) request_hash: &'a [u8; 32],
    pub(super) quote: &'a str,
    /// Whether the extension `payment-identifier` is supported.
    pub(super) takes_identifier: bool,
}

/// Returns the `PAYMENT-REQUIRED` header's value. `None` if it would be longer than a reader may
/// refuse.
pub(super) fn header(said: &Said<'_>) -> Option<HeaderValue> {
    let text = object(said);
    (text.len() <= MAX_TEXT).then(|| encode_header(text))?
}

/// Returns the challenge as a JSON object ("PaymentRequired Schema"), whatever carries it.
///
/// The text is written out, not serialised: only the texts of the request and of the configuration
/// may need an escape.
fn object(said: &Said<'_>) -> String {
    let mut text = String::with_capacity(1536);
    text.extend([
        "{\"x402Version\":2,\"error\":\"",
        said.error,
        "\",\"resource\":{\"url\":",
    ]);
    json::push_text(&mut text, said.url);
    push_resource(&mut text, said.resource);
    text.push_str("},\"accepts\":[");
    push_accepted(&mut text, said);
    text.push(']');
    if said.takes_identifier {
        text.push_str(OFFER);
    }
    text.push('}');
    text
}

/// Adds one way to pay, an entry of `accepts` ("PaymentRequirements Schema").
fn push_accepted(text: &mut String, said: &Said<'_>) {
    let (mut amount, mut timeout) = (itoa::Buffer::new(), itoa::Buffer::new());
    let (pay_to, request_hash) = (
        hex::encode_array(said.pay_to),
        hex::encode_array(said.request_hash),
    );
    text.extend([
        "{\"scheme\":\"exact\",\"network\":\"",
        said.invoice.network().caip2(),
        "\",\"amount\":\"",
        amount.format(said.amount.as_msat()),
        "\",\"asset\":\"BTC\",\"payTo\":\"",
        pay_to.as_str(),
        "\",\"maxTimeoutSeconds\":",
        timeout.format(said.invoice.expiry().as_secs()),
        ",\"extra\":{\"assetTransferMethod\":\"bolt11\",\"paymentFlow\":\"upfront\",\"requestHash\":\"",
        request_hash.as_str(),
        "\",\"requestBindingProfile\":\"http:1\",\"requestBindingParams\":{\"headers\":[",
    ]);
    push_texts(text, said.bound_headers.iter().map(String::as_str));
    text.extend([
        "]},\"invoice\":\"",
        said.invoice.as_str(),
        "\",\"quote\":\"",
        said.quote,
        "\"}}",
    ]);
}

/// Adds what is known of the resource besides its URL.
fn push_resource(json: &mut String, resource: &Resource) {
    let service_name = resource
        .service_name
        .as_deref()
        .filter(|name| is_listable(name));
    let members = [
        (",\"description\":", resource.description.as_deref()),
        (",\"mimeType\":", resource.mime_type.as_deref()),
        (",\"serviceName\":", service_name),
    ];
    for (name, value) in members
        .iter()
        .filter_map(|(name, value)| Some((name, (*value)?)))
    {
        json.push_str(name);
        json::push_text(json, value);
    }
    let mut tags = resource
        .tags
        .iter()
        .map(String::as_str)
        .filter(|tag| is_listable(tag))
        .take(5)
        .peekable();
    if tags.peek().is_some() {
        json.push_str(",\"tags\":[");
        push_texts(json, tags);
        json.push(']');
    }
    if let Some(url) = resource.icon_url.as_deref().filter(|url| url.len() <= 2048) {
        json.push_str(",\"iconUrl\":");
        json::push_text(json, url);
    }
}

fn push_texts<'a>(json: &mut String, texts: impl Iterator<Item = &'a str>) {
    for (index, text) in texts.enumerate() {
        json.push_str(if index == 0 { "" } else { "," });
        json::push_text(json, text);
    }
}

/// Released HTTP stacks refuse a header line of more than 16 KiB, and base64 takes a quarter of
/// that.
const MAX_TEXT: usize = 12 * 1024;

/// The URL, which the requester chooses, may be this long: an invoice is only made if its challenge
/// will fit.
pub(super) const MAX_URL: usize = 6 * 1024;

/// At most 32 printable ASCII characters, as the extension `bazaar` demands. Anything else is left
/// out of the listing.
fn is_listable(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::{
        super::bench::{AMOUNT, Bench},
        *,
    };

    #[test]
    fn the_text_is_exact() {
        let (bench, text) = (Bench::new(), |text: &str| Some(text.to_owned()));
        let invoice = bench.invoice(&bench.call());
        let pay_to = hex::encode(invoice.payee());
        let tags = ["a", "\"b\"", "\u{e9}", "c", "d", "e", "f"];
        let all = Resource {
            description: text("say \"\u{e9}\"\n"),
            mime_type: text("a/b"),
            service_name: text("a \\ b"),
            tags: tags.map(str::to_owned).to_vec(),
            icon_url: text("https://a/\"b"),
        };
        let bound_headers = ["accept".to_owned(), "x-a".to_owned()];
        for (members, resource) in [
            (
                r#","description":"say \"é\"\n","mimeType":"a/b","serviceName":"a \\ b","tags":["a","\"b\"","c","d","e"],"iconUrl":"https://a/\"b""#,
                all,
            ),
            ("", Resource::default()),
        ] {
            let said = Said {
                error: "some_error",
                url: "https://a/?b=\"c",
                resource: &resource,
                bound_headers: &bound_headers,
                amount: AMOUNT,
                pay_to: invoice.payee(),
                invoice: &invoice,
                request_hash: &[7; 32],
                quote: "quote",
                takes_identifier: false,
            };
            let expected = format!(
                r#"{{"x402Version":2,"error":"some_error","resource":{{"url":"https://a/?b=\"c"{members}}},"accepts":[{{"scheme":"exact","network":"lnbtc:000000000019d6689c085ae165831e93","amount":"21000","asset":"BTC","payTo":"{pay_to}","maxTimeoutSeconds":300,"extra":{{"assetTransferMethod":"bolt11","paymentFlow":"upfront","requestHash":"{}","requestBindingProfile":"http:1","requestBindingParams":{{"headers":["accept","x-a"]}},"invoice":"{invoice}","quote":"quote"}}}}]}}"#,
                "07".repeat(32)
            );
            assert_eq!(
                decode_header(header(&said).unwrap().as_bytes()),
                Some(expected)
            );
        }
    }

    #[test]
    fn what_is_no_version_2_is_not_read() {
        let good = r#"{"x402Version":2,"resource":{"url":"u"},"accepts":[{}],"error":null}"#;
        let challenges = Challenge::in_json(good);
        assert_eq!(
            (challenges[0].url(), challenges[0].error(), challenges.len()),
            (Some("u"), None, 1)
        );
        for bad in [
            good.replace(":2,", ":1,"),
            good.replace("[{}]", "[{},3]"),
            good.replace("[{}]", "{}"),
            good.replace("\"resource\"", "\"resources\""),
            good.replace("\"error\"", "\"accepts\""),
            good.replace("[{}]", &format!("[{}{{}}]", "{},".repeat(64))),
            good.replace("null", &format!("\"{}\"", "a".repeat(MAX_HEADER))),
        ] {
            assert!(Challenge::read(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_challenges_of_a_response_are_read_in_their_order_up_to_a_limit() {
        let line = |text: &str| encode_header(text).unwrap();
        let required = |urls: &[&str]| {
            let accepts = vec!["{}"; urls.len()].join(",");
            line(&format!(
                r#"{{"x402Version":2,"resource":{{"url":"{}"}},"accepts":[{accepts}]}}"#,
                urls[0]
            ))
        };
        let mut headers = HeaderMap::new();
        headers.append(REQUIRED, required(&["a", "a"]));
        headers.append(REQUIRED, HeaderValue::from_static("e30"));
        headers.append(REQUIRED, line("{}"));
        headers.append(REQUIRED, required(&["b"]));
        let read = Challenge::in_headers(&headers);
        let urls: Vec<_> = read.iter().filter_map(Challenge::url).collect();
        assert_eq!(urls, ["a", "a", "b"]);
        for _ in 0..3 {
            headers.append(REQUIRED, required(&["c"; 64]));
        }
        assert_eq!(
            Challenge::in_headers(&headers).len(),
            Challenge::MAX_PER_RESPONSE
        );
        headers.clear();
        for _ in 0..MAX_LINES {
            headers.append(REQUIRED, HeaderValue::from_static("e30"));
        }
        headers.append(REQUIRED, required(&["d"]));
        assert!(Challenge::in_headers(&headers).is_empty());
    }
}
