//! The cases of `lnbtc.json`, each named section/id. If the file allows several results, the result
//! of this crate is asserted.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tower_x402::{
    ClientConditions, ClientRequest, Network,
    clock::Timestamp,
    x402::{Challenge, Payable, PayerReport, Reason, RequestBinding},
};

use crate::{report, vectors};

fn run(section: &str, check: impl Fn(&Value) -> Result<(), String>) {
    let Some(file) = vectors("lnbtc.json") else {
        return;
    };
    let cases = file[section].as_array().expect("a section is a list");
    report(
        cases
            .iter()
            .map(|case| (format!("{section}/{}", text(&case["id"])), check(case))),
    );
}

#[test]
fn http_binding() {
    run("http_binding", |case| {
        let body = bytes(text(&case["body_hex"]));
        let url = text(&case["url"]);
        let bound = headers(&case["header_lines"]).and_then(|headers| {
            RequestBinding::http(
                text(&case["method"]),
                url,
                &hash(&body),
                &texts(&case["bound_headers"]),
                &headers,
            )
        });
        compare_binding(&bound, &case["expect"])
    });
}

#[test]
fn mcp_binding() {
    run("mcp_binding", |case| {
        let params = case["params_json"]
            .as_str()
            .map_or_else(|| case["params"].to_string(), str::to_owned);
        let bound = RequestBinding::mcp(
            text(&case["server"]),
            &texts(&case["bound_metadata"]),
            &params,
        );
        let expect = match text(&case["id"]) {
            "integer-2-64" => {
                chosen(&case["expect"], "reject")?;
                serde_json::json!({"error": "invalid_exact_lnbtc_request_binding"})
            }
            _ => case["expect"].clone(),
        };
        compare_binding(&bound, &expect)
    });
}

#[test]
fn client() {
    run("client", |case| {
        let outcome = pay(case);
        let expected = match text(&case["expect"]) {
            "pays, preimage" => Ok(()),
            "OPEN: pay | invoice_expired" => {
                Err(("invalid_exact_lnbtc_invoice_expired".to_owned(), true))
            }
            word => Err((
                word.trim_end_matches(" before pay").to_owned(),
                word.ends_with(" before pay"),
            )),
        };
        (outcome == expected)
            .then_some(())
            .ok_or_else(|| format!("{outcome:?}, not {expected:?}"))
    });
}

/// Returns the reason, and whether the payer was never called.
fn pay(case: &Value) -> Result<(), (String, bool)> {
    let before = |reason: Reason| (reason.code().to_owned(), true);
    let after = |reason: Reason| (reason.code().to_owned(), false);
    let http = &case["intended_request"]["http"];
    let headers = headers(&http["header_lines"]).map_err(before)?;
    let body_hash = hash(&bytes(text(&http["body_hex"])));
    let request = ClientRequest::Http {
        method: text(&http["method"]),
        url: text(&http["url"]),
        headers: &headers,
        body_hash,
    };
    let claimed = &Challenge::in_json(&case["payment_required"].to_string())[0];
    let payable = Payable::check(claimed, &request, &conditions(case))
        .map_err(|error| (error.code().expect("a code").to_owned(), true))?;
    let told = &case["payer_result"];
    let told = PayerReport {
        status: text(&told["status"]),
        invoice: text(&told["invoice"]),
        payment_hash: text(&told["payment_hash"]),
        amount_msat: text(&told["amount_msat"]),
        preimage: told["preimage"].as_str(),
    };
    let preimage = payable.settle(&told).map_err(after)?;
    let (_, header) = payable
        .credential(&preimage)
        .expect("the preimage is the invoice's");
    let payload = tower_x402::x402::decode_header(header.as_bytes()).expect("a header");
    let sent: Value = serde_json::from_str(&payload).expect("JSON");
    assert_eq!(sent["accepted"], case["payment_required"]["accepts"][0]);
    assert_eq!(sent["resource"], case["payment_required"]["resource"]);
    assert_eq!(
        sent["payload"],
        serde_json::json!({"preimage": told.preimage})
    );
    Ok(())
}

fn compare_binding(bound: &Result<RequestBinding, Reason>, expect: &Value) -> Result<(), String> {
    let wrong = || Err(format!("{bound:?}, not {expect}"));
    match bound {
        Ok(bound) if expect["request_hash"] != bound.hash().to_string() => wrong(),
        Ok(bound)
            if expect["canonical_description"]
                .as_str()
                .is_some_and(|text| text != bound.canonical()) =>
        {
            wrong()
        }
        Err(reason) if expect["error"] != reason.code() => wrong(),
        _ => Ok(()),
    }
}

/// Makes sure that a choice of ours is one that the file allows.
pub(crate) fn chosen<'a>(expect: &Value, choice: &'a str) -> Result<&'a str, String> {
    let allowed = expect["open"]
        .as_array()
        .is_some_and(|open| open.iter().any(|word| word == choice));
    allowed
        .then_some(choice)
        .ok_or_else(|| format!("{choice} is not among {}", expect["open"]))
}

fn conditions(case: &Value) -> ClientConditions {
    let seconds = |name: &str| case[name].as_u64().expect("whole seconds");
    let now = Timestamp::from_unix_seconds(seconds("now"));
    ClientConditions::new(Network::Bitcoin, now).with_skew(Duration::from_secs(seconds("skew")))
}

pub(crate) fn lines(value: &Value) -> impl Iterator<Item = (&str, &str)> {
    value
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| (text(&line[0]), text(&line[1])))
}

/// Builds the headers. Fails if the `http` crate cannot represent them.
fn headers(value: &Value) -> Result<HeaderMap, Reason> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines(value) {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Reason::RequestBinding)?;
        headers.append(
            name,
            HeaderValue::from_bytes(value.as_bytes()).map_err(|_| Reason::RequestBinding)?,
        );
    }
    Ok(headers)
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(text).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}

pub(crate) fn hash(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}
