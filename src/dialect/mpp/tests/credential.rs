use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use crate::{
    codec::base64,
    dialect::mpp::{
        Challenge, Credential, CredentialText, PAYMENT_AUTHORIZATION,
        credential::{Found, find, strip},
    },
    payment::Preimage,
};

fn headers(lines: &[&str]) -> HeaderMap {
    lines
        .iter()
        .map(|line| {
            (
                AUTHORIZATION,
                HeaderValue::from_bytes(line.as_bytes()).unwrap(),
            )
        })
        .collect()
}

fn stripped(lines: &[&str]) -> Vec<String> {
    let mut headers = headers(lines);
    strip(&mut headers, &AUTHORIZATION);
    headers
        .get_all(AUTHORIZATION)
        .iter()
        .map(|line| line.to_str().unwrap().to_owned())
        .collect()
}

/// `1+` for one that can be decoded, `1-` for one that cannot.
fn found(lines: &[&str]) -> &'static str {
    match find(&headers(lines), &AUTHORIZATION) {
        Found::Nothing => "0",
        Found::One(Some(_)) => "1+",
        Found::One(None) => "1-",
        Found::Several => "2",
    }
}

#[test]
fn a_credential_is_found_beside_foreign_ones_and_two_are_several() {
    for (lines, count) in [
        (&["Payment abcd"][..], "1+"),
        (&["payment  abcd "], "1+"),
        (&["Bearer x", "PAYMENT abcd"], "1+"),
        (&["Bearer x, Payment abcd"], "1+"),
        (&["Payment abcd, Bearer x"], "1+"),
        (&["Payment"], "1-"),
        (&["Payment abcd,abcd"], "1-"),
        (&["Payment abcd abcd"], "1-"),
        (&[], "0"),
        (&["Bearer x"], "0"),
        (&["PaymentX abcd"], "0"),
        (&["Digest a=\"b, Payment abcd\""], "0"),
        (&["Payment abcd", "Payment abcd"], "2"),
        (&["Payment abcd, Payment abcd"], "2"),
        (&["Payment !, Bearer x", "payment abcd"], "2"),
    ] {
        assert_eq!(found(lines), count, "{lines:?}");
    }
}

#[test]
fn only_payment_credentials_are_taken_out() {
    assert_eq!(stripped(&["Payment a"]), Vec::<String>::new());
    assert_eq!(
        stripped(&["Bearer x", "Payment a", "Basic y"]),
        ["Bearer x", "Basic y"]
    );
    assert_eq!(
        stripped(&["Bearer x, Payment a, Basic y"]),
        ["Bearer x, Basic y"]
    );
    assert_eq!(stripped(&["L402 m1,m2:p"]), ["L402 m1,m2:p"]);
    assert_eq!(
        stripped(&["Payment a, Payment b", "payment"]),
        Vec::<String>::new()
    );
    let mut headers = headers(&["Payment a"]);
    strip(&mut headers, &PAYMENT_AUTHORIZATION);
    assert_eq!(headers.len(), 1);
}

#[test]
fn padded_and_unpadded_text_is_read_and_nothing_shows_the_preimage() {
    let preimage = Preimage::from_bytes([0xab; 32]);
    let line = b"Payment id=i, realm=r, method=lightning, intent=charge, request=cQ";
    let credential = Credential::new(Challenge::parse_line(line).remove(0), &preimage);
    let value = credential.to_header_value().unwrap();
    assert!(value.is_sensitive());
    let text = CredentialText::decode(value.as_bytes()).unwrap();
    let shown = format!("{credential:?} {text:?} {value:?} {:?}", text.read());
    assert!(!shown.contains("abab"), "{shown}");
    assert!(
        preimage
            .payment_hash()
            .is_of(&text.read().unwrap().preimage().unwrap())
    );
    let token = value.to_str().unwrap().trim_start_matches("Payment ");
    let padded = format!("{token}{}", &"==="[..(4 - token.len() % 4) % 4]);
    for good in [token, &padded] {
        assert!(
            CredentialText::decode(format!("payment {good}").as_bytes())
                .unwrap()
                .read()
                .is_some(),
            "{good}"
        );
    }
    assert!(CredentialText::decode(format!("Payment {padded}=").as_bytes()).is_none());
}

#[test]
fn a_credential_is_bounded() {
    let decoded =
        |quads| CredentialText::decode(format!("Payment {}", "AAAA".repeat(quads)).as_bytes());
    assert!(decoded(16 * 1024).is_some());
    assert!(decoded(16 * 1024 + 1).is_none());
}

#[test]
fn json_is_strict_about_what_it_reads() {
    let read = |json: &str| {
        let value = format!("Payment {}", base64::encode_url(json));
        CredentialText::decode(value.as_bytes()).is_some_and(|text| text.read().is_some())
    };
    let challenge = r#"{"id":"i","realm":"r","method":"m","intent":"c","request":"cQ"}"#;
    let good = format!(
        r#"{{"challenge":{challenge},"payload":{{"preimage":"x","more":1}},"source":null}}"#
    );
    assert!(read(&good));
    for bad in [
        good.replace(r#""id":"i""#, r#""id":"i","id":"i""#),
        good.replace(r#""preimage":"x""#, r#""preimage":"x","preimage":"x""#),
        good.replace("source", "payload"),
        good.replace(r#""preimage":"x""#, r#""preimage":null"#),
        good.replace(r#""realm":"r","#, ""),
        good.replace(r#""r""#, "1"),
        format!("{good}{good}"),
        format!("[{challenge},{{\"preimage\":\"x\"}},null]"),
        good.replace(r#"{"preimage":"x","more":1}"#, r#"["x"]"#),
        good.replace("\"x\"", "\"\\ud800\""),
    ] {
        assert!(!read(&bad), "{bad}");
    }
}
