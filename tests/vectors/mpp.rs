use serde_json::Value;
use tower_x402::{
    internals::codec::{base64, hex, jcs, json},
    mpp::{Challenge, Credential, CredentialText, Receipt},
};

const FILE: &str = "mpp.json";

/// Runs one list of the file. `judge` returns why a case fails.
fn run(list: &str, judge: impl Fn(&Value) -> Result<(), String>) {
    let Some(file) = super::vectors(FILE) else {
        return;
    };
    let cases = file[list].as_array().expect("a list of cases");
    super::report(cases.iter().filter_map(|case| {
        let name = format!("{FILE} {list}: {}", text(case, "name"));
        match for_later(list, text(case, "name")) {
            Some(why) => {
                println!("skipped {name}: {why}");
                None
            }
            None => Some((name, judge(case))),
        }
    }));
}

fn for_later(list: &str, name: &str) -> Option<&'static str> {
    let begins = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
    match list {
        "credentials" if begins(&["session "]) => Some("the payload of a session"),
        "receipts" if begins(&["session close ", "largest refund "]) => {
            Some("the receipt of a session's end")
        }
        "receipts" if begins(&["need top-up "]) => Some("an event of a session, no receipt"),
        _ => None,
    }
}

fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_default()
}

fn is_error(case: &Value) -> bool {
    case["error"] == true
}

fn same<T: PartialEq + std::fmt::Debug>(ours: &T, expected: &T) -> Result<(), String> {
    if ours == expected {
        Ok(())
    } else {
        Err(format!("{ours:?} and not {expected:?}"))
    }
}

/// Reads a challenge from a JSON object of its parameters.
fn challenge(params: &Value) -> Challenge<'_> {
    serde::Deserialize::deserialize(params).expect("the parameters of a challenge")
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).expect("the vectors' JSON")
}

#[test]
fn canonicalization() {
    run("canonicalization", |case| {
        let expected = case["canonical"].as_str().map(str::to_owned);
        same(&expected.is_none(), &is_error(case))?;
        let value = json::parse(text(case, "input")).ok();
        let canonical = value
            .as_ref()
            .and_then(|value| serde_jcs::to_string(value).ok());
        same(&canonical, &expected)?;
        // This crate refuses to bind a request with a number that shares its double with others.
        let strict = value.as_ref().and_then(jcs::canonical);
        if strict.is_none() {
            Ok(())
        } else {
            same(&strict, &expected)
        }
    });
}

#[test]
fn base64url() {
    run("base64url", |case| {
        let encoded = text(case, "encoded");
        let decoded = base64::decode_url(encoded);
        let expected = (!is_error(case)).then(|| text(case, "decodedHex").to_owned());
        same(&decoded.as_ref().map(hex::encode), &expected)?;
        let again = decoded.map(base64::encode_url);
        same(
            &(again.as_deref() == Some(encoded)),
            &(case["canonical"] == true),
        )
    });
}

#[test]
fn challenge_headers() {
    run("challengeHeaders", |case| {
        let written = challenge(&case["params"])
            .to_header_value()
            .ok_or("not written")?;
        same(
            &String::from_utf8_lossy(written.as_bytes()).as_ref(),
            &text(case, "header"),
        )?;
        same(
            &Challenge::parse_line(text(case, "header").as_bytes()),
            &vec![challenge(&case["parsed"])],
        )
    });
}

#[test]
fn challenge_lists() {
    run("challengeLists", |case| {
        let read = Challenge::parse_line(text(case, "header").as_bytes());
        same(&read.is_empty(), &is_error(case))?;
        let expected = case["challenges"]
            .as_array()
            .map(|list| list.iter().map(challenge).collect());
        same(&read, &expected.unwrap_or_default())
    });
}

#[test]
fn challenge_ids() {
    let Some(file) = super::vectors(FILE) else {
        return;
    };
    let key = |text: &Value| {
        (0..text.as_str().map_or(0, |text| text.len() / 2))
            .map(|at| byte(text, at))
            .collect::<Vec<_>>()
    };
    let secret = key(&file["hmacSecretHex"]);
    run("challengeIds", |case| {
        let own = case["secret"]
            .as_str()
            .map(|secret| secret.as_bytes().to_vec());
        let challenge = challenge(&case["params"]);
        same(&challenge.id_input().as_str(), &text(case, "hmacInput"))?;
        same(
            &challenge.id_under(own.as_ref().unwrap_or(&secret)).as_str(),
            &challenge.id.as_ref(),
        )
    });
}

fn byte(text: &Value, at: usize) -> u8 {
    let digits = text
        .as_str()
        .and_then(|text| text.get(2 * at..2 * at + 2))
        .expect("hexadecimal digits");
    u8::from_str_radix(digits, 16).expect("hexadecimal digits")
}

#[test]
fn credentials() {
    run("credentials", |case| {
        let decoded = CredentialText::decode(text(case, "header").as_bytes());
        let read = decoded.as_ref().and_then(CredentialText::read);
        same(&read.is_none(), &is_error(case))?;
        let Some(read) = read else { return Ok(()) };
        let expected = value(text(case, "credentialJson"));
        same(
            &serde_json::to_value(&read).map_err(|error| error.to_string())?,
            &expected,
        )?;
        let written = read.to_header_value().ok_or("not written")?;
        let again = CredentialText::decode(written.as_bytes()).ok_or("not decoded again")?;
        let again: Credential<'_> = again.read().ok_or("not read again")?;
        same(
            &serde_json::to_value(&again).map_err(|error| error.to_string())?,
            &expected,
        )
    });
}

#[test]
fn receipts() {
    run("receipts", |case| {
        let read = Receipt::parse(text(case, "header").as_bytes()).ok_or("not read")?;
        same(
            &serde_json::to_value(&read).map_err(|error| error.to_string())?,
            &value(text(case, "receiptJson")),
        )?;
        let written = read.to_header_value().ok_or("not written")?;
        same(&Receipt::parse(written.as_bytes()), &Some(read))
    });
}
