use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tower_x402::{
    Preimage, Refusal,
    clock::Timestamp,
    internals::codec::base64,
    l402::{Credential, Identifier, Macaroon, verify},
};

use super::{report, vectors};

#[test]
fn macaroons() {
    let Some(file) = vectors("l402.json") else {
        return;
    };
    let minted = list(&file["cases"])
        .iter()
        .map(|case| (name(case), minted(case)));
    let negative = list(&file["negative"])
        .iter()
        .map(|case| (name(case), verdict_is(case)));
    report(minted.chain(negative));
}

#[test]
fn authorization_lines() {
    let Some(file) = vectors("l402.json") else {
        return;
    };
    let given = &file["authorization"];
    report(
        list(&given["cases"])
            .iter()
            .map(|case| (name(case), presented(given, case))),
    );
}

/// Checks the parts, the encodings and the verdict of a macaroon that another library minted.
fn minted(case: &Value) -> Result<(), String> {
    let binary = bytes(&case["binary"]);
    let macaroon = Macaroon::parse(binary.clone()).map_err(|error| error.to_string())?;
    let identifier = Identifier::parse(macaroon.identifier()).ok_or("no identifier")?;
    same(
        "identifier",
        macaroon.identifier(),
        &bytes(&case["identifier"]),
    )?;
    same(
        "identifier, written",
        &identifier.to_bytes()[..],
        &bytes(&case["identifier"]),
    )?;
    same(
        "payment hash",
        &identifier.payment_hash().as_bytes()[..],
        &bytes(&case["payment_hash"]),
    )?;
    same(
        "token id",
        &identifier.token_id()[..],
        &bytes(&case["token_id"]),
    )?;
    same(
        "location",
        macaroon.location(),
        text(&case["location"]).as_bytes(),
    )?;
    let caveats: Vec<_> = list(&case["caveats"]).iter().map(text).collect();
    let caveats: Vec<_> = caveats.iter().map(|caveat| caveat.as_bytes()).collect();
    same("caveats", &macaroon.caveats().collect::<Vec<_>>(), &caveats)?;
    same("encoding", &macaroon.to_bytes(), &bytes(&case["reencoded"]))?;
    same(
        "standard base64",
        &base64::decode_any(text(&case["base64_standard"])),
        &Some(binary.clone()),
    )?;
    same(
        "url-safe base64",
        &base64::decode_any(text(&case["base64_url_unpadded"])),
        &Some(binary),
    )?;
    if macaroon.location().is_empty() {
        let again = Macaroon::mint(
            bytes(&case["root_key"]),
            macaroon.identifier(),
            macaroon.caveats(),
        );
        same(
            "minted here",
            &again.map(|again| again.to_bytes()),
            &Ok(macaroon.to_bytes()),
        )?;
    }
    verdict_is(case)
}

fn verdict_is(case: &Value) -> Result<(), String> {
    let verdict = Macaroon::parse(bytes(&case["binary"]))
        .map_err(Refusal::from)
        .and_then(|macaroon| {
            let preimage = Preimage::from_hex(&text(&case["preimage"])).expect("a preimage");
            verify(
                &macaroon,
                bytes(&case["root_key"]),
                &preimage,
                &text(&case["service"]),
                now(case),
            )
        });
    same("verdict", word(verdict), &text(&case["expect"]))
}

/// Returns the verdict on a request's header lines. The first valid credential counts.
fn presented(given: &Value, case: &Value) -> Result<(), String> {
    let mut headers = HeaderMap::new();
    for line in list(&case["lines"]) {
        let [header, value] = list(line) else {
            return Err("a line is a name and a value".into());
        };
        let header = HeaderName::from_bytes(text(header).as_bytes()).expect("a header's name");
        headers.append(
            header,
            HeaderValue::from_bytes(text(value).as_bytes()).expect("a header's value"),
        );
    }
    let keys = given["root_keys"].as_object().expect("keys by name");
    let verdicts = Credential::in_headers(&headers).map(|credential| {
        let credential = credential?;
        let verdict =
            |key| verify(credential.macaroon(), bytes(key), credential.preimage(), &text(&given["service"]), now(given));
        let verdicts: Vec<_> = keys.values().map(verdict).collect();
        let signed = |verdict: &&Result<_, Refusal>| !matches!(verdict, Err(refusal) if refusal.code() == "bad_signature");
        verdicts.iter().find(signed).cloned().unwrap_or(verdicts[0])
    });
    let verdicts: Vec<_> = verdicts.collect();
    let verdict = verdicts
        .iter()
        .find(|verdict| verdict.is_ok())
        .or(verdicts.last())
        .cloned();
    same(
        "verdict",
        verdict.map_or("none", word),
        &text(&case["expect"]),
    )
}

fn word(verdict: Result<Identifier, Refusal>) -> &'static str {
    verdict.map_or_else(|refusal| refusal.code(), |_| "ok")
}

#[track_caller]
fn same<T: std::fmt::Debug + PartialEq<U> + ?Sized, U: std::fmt::Debug + ?Sized>(
    what: &str,
    got: &T,
    want: &U,
) -> Result<(), String> {
    if got == want {
        Ok(())
    } else {
        Err(format!("{what}: got {got:?}, expected {want:?}"))
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn name(case: &Value) -> String {
    text(&case["name"])
}

fn bytes(value: &Value) -> Vec<u8> {
    tower_x402::internals::codec::hex::decode_vec(text(value)).expect("hex")
}

fn now(value: &Value) -> Timestamp {
    Timestamp::from_unix_seconds(value["now"].as_u64().expect("seconds"))
}
