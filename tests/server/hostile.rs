//! Hostile credential headers: each gets a 402 with a reason and one fresh invoice, and none
//! panics.

use std::time::Duration;

use axum::{Router, routing::any};
use http::{HeaderName, HeaderValue, StatusCode, header};
use proptest::{prelude::*, test_runner::TestRunner};
use tower_x402::{Amount, DialectName, internals::codec::base64, l402::Macaroon, server::Charge};

use crate::{
    customer::{ALL, Call, PAYMENT_SIGNATURE},
    shop::{Shop, ask, reason},
};

pub(crate) fn service(shop: &Shop, dialects: &[DialectName]) -> Router {
    let paywall = shop
        .builder()
        .dialects(dialects.iter().copied())
        .max_unpaid(100_000)
        .challenge_header_bytes(usize::MAX)
        .build()
        .unwrap();
    let layer = paywall
        .charge(Charge::new(Amount::from_sat(10)).bind_headers(["x-account"]))
        .unwrap();
    Router::new().route("/{*path}", any(async || "sunny").layer(layer))
}

/// Refused with this reason, and with exactly one fresh invoice.
#[track_caller]
pub(crate) fn refused(
    shop: &Shop,
    before: u64,
    answer: &http::Response<bytes::Bytes>,
    word: &str,
    what: &str,
) {
    assert_eq!(reason(answer), word, "{what}");
    assert_eq!(shop.node.invoices_created(), before + 1, "{what}");
}

/// `macaroon:preimage`, whatever the bytes of the macaroon.
pub(crate) fn l402(bytes: impl AsRef<[u8]>, preimage: &str) -> String {
    format!("L402 {}:{preimage}", base64::encode_standard(bytes))
}

#[tokio::test]
async fn headers_that_are_no_text_too_long_or_too_many_are_refused_with_a_reason() {
    let shop = Shop::new();
    let app = service(&shop, &ALL);
    let deep = format!(
        "{{\"x402Version\":2,\"accepted\":{}1{}}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let huge = "{\"x402Version\":2,\"accepted\":{\"amount\":1e400000,\"maxTimeoutSeconds\":99999999999999999999},\"payload\":{}}";
    let twice = "{\"x402Version\":2,\"x402Version\":2,\"accepted\":{},\"payload\":{}}";
    let ours = tower_x402::internals::codec::hex::encode(
        Macaroon::mint([1; 32], [0; 66], ["a=b"])
            .unwrap()
            .to_bytes(),
    );
    let standard = |text: &str| base64::encode_standard(text).into_bytes();
    let payment = |text: &str| format!("Payment {}", base64::encode_url(text)).into_bytes();
    let cases: Vec<(HeaderName, Vec<u8>, &str)> = vec![
        (header::AUTHORIZATION, b"L402 ".to_vec(), "malformed"),
        (
            header::AUTHORIZATION,
            b"L402 \xff\xfe:\xff".to_vec(),
            "malformed",
        ),
        (
            header::AUTHORIZATION,
            [b"L402 ", &vec![b'A'; 1_000_000][..]].concat(),
            "malformed",
        ),
        (
            header::AUTHORIZATION,
            [b"LSAT ", &vec![b','; 100_000][..]].concat(),
            "malformed",
        ),
        (
            header::AUTHORIZATION,
            b"L402 a, L402 b, L402 c, L402 d, L402 e".to_vec(),
            "malformed",
        ),
        (
            header::AUTHORIZATION,
            b"Payment \xff".to_vec(),
            "malformed-credential",
        ),
        (
            header::AUTHORIZATION,
            b"Payment ".to_vec(),
            "malformed-credential",
        ),
        (
            header::AUTHORIZATION,
            [b"Payment ", &vec![b'A'; 1_000_000][..]].concat(),
            "malformed-credential",
        ),
        (
            header::AUTHORIZATION,
            payment(&deep),
            "malformed-credential",
        ),
        (
            header::AUTHORIZATION,
            payment("{\"challenge\":[],\"payload\":{}}"),
            "malformed-credential",
        ),
        (
            header::AUTHORIZATION,
            payment("{\"challenge\":{},\"challenge\":{},\"payload\":{}}"),
            "malformed-credential",
        ),
        (
            HeaderName::from_static("macaroon"),
            ours.into_bytes(),
            "malformed",
        ),
        // Another service's, for all that this layer knows: no credential.
        (
            HeaderName::from_static("macaroon"),
            vec![b'0'; 1_000_000],
            "",
        ),
        (HeaderName::from_static("macaroon"), b"\xff".to_vec(), ""),
        (PAYMENT_SIGNATURE, b"\xff\xff".to_vec(), "invalid_payload"),
        (PAYMENT_SIGNATURE, b"".to_vec(), "invalid_payload"),
        (PAYMENT_SIGNATURE, vec![b'A'; 1_000_000], "invalid_payload"),
        (PAYMENT_SIGNATURE, standard(&deep), "invalid_payload"),
        (PAYMENT_SIGNATURE, standard(twice), "invalid_payload"),
        (
            PAYMENT_SIGNATURE,
            standard("{\"x402Version\":1}"),
            "invalid_x402_version",
        ),
        (PAYMENT_SIGNATURE, standard("[]"), "invalid_payload"),
    ];
    for (name, value, word) in cases {
        let before = shop.node.invoices_created();
        let mut call = Call::new("GET", "/weather");
        call.headers
            .append(&name, HeaderValue::from_bytes(&value).unwrap());
        let what = format!("{name}: {:.40}", String::from_utf8_lossy(&value));
        refused(&shop, before, &ask(&app, call.request()).await, word, &what);
    }
    let answer = ask(
        &app,
        Call::new("GET", "/weather")
            .header(PAYMENT_SIGNATURE, &base64::encode_standard(huge))
            .request(),
    )
    .await;
    assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
    assert_ne!(reason(&answer), "");
}

#[tokio::test]
async fn a_genuine_credential_spelled_otherwise_is_refused_if_the_specification_is_strict() {
    let shop = Shop::new();
    let app = service(&shop, &ALL);
    let call = Call::new("GET", "/weather");
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    let genuine = bought.of(DialectName::X402).1.to_str().unwrap();
    let json = tower_x402::x402::decode_header(genuine.as_bytes()).unwrap();
    // With all that sets the spellings of base64 apart.
    let marked = json.replacen('{', "{\"of-the-client\":\"???>>>~~~???>>>\",", 1);
    let marked = (0..3)
        .map(|spaces| marked.clone() + &" ".repeat(spaces))
        .find(|text| text.len() % 3 == 1)
        .unwrap();
    let genuine = base64::encode_standard(&marked);
    assert!(genuine.contains(['+', '/']) && genuine.ends_with("=="));
    for spelled in [
        base64::encode_url(&marked),
        base64::encode_url(&marked) + "==",
        genuine.trim_end_matches('=').to_owned(),
        genuine.trim_end_matches('=').to_owned() + "====",
        base64::encode_standard(json.replacen(
            "{\"x402Version\":2",
            "{\"x402Version\":2,\"x402Version\":2",
            1,
        )),
        base64::encode_standard(json.replace("\"x402Version\":2", "\"x402Version\":\"2\"")),
        base64::encode_standard(
            json.replace("\"maxTimeoutSeconds\":300", "\"maxTimeoutSeconds\":300.5"),
        ),
        base64::encode_standard(json.replace("\"amount\":\"10000\"", "\"amount\":\"1\"")),
        base64::encode_standard(json.replace(
            &bought.preimage.expose_hex(),
            &bought.preimage.expose_hex().to_uppercase(),
        )),
        base64::encode_standard(format!("{json} x")),
    ] {
        assert_ne!(spelled, genuine);
        let answer = ask(
            &app,
            call.clone().header(PAYMENT_SIGNATURE, &spelled).request(),
        )
        .await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{spelled}");
    }
    assert_eq!(
        ask(&app, call.header(PAYMENT_SIGNATURE, &genuine).request())
            .await
            .status(),
        StatusCode::OK
    );
}

#[test]
fn no_bytes_in_a_credentials_header_make_anything_but_a_refusal() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let shop = Shop::new();
    let app = service(&shop, &ALL);
    let name = prop_oneof![
        Just("authorization"),
        Just("payment-authorization"),
        Just("payment-signature"),
        Just("x-payment"),
        Just("macaroon"),
        Just("accept-payment"),
        Just("x-account"),
        Just("x-forwarded-for"),
    ];
    let prefix = prop_oneof![
        Just(""),
        Just("L402 "),
        Just("LSAT AgEE"),
        Just("Payment "),
        Just("Payment eyJ"),
        Just("eyJ4NDAy")
    ];
    let bytes = prop::collection::vec(
        prop_oneof![
            0x20_u8..0x7f,
            0x80_u8..=0xff,
            Just(b','),
            Just(b'='),
            Just(b':')
        ],
        0..80,
    );
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let lines = prop::collection::vec((name, prefix, bytes), 1..4);
    let outcome = runner.run(&lines, |lines| {
        let mut call = Call::new("GET", "/weather");
        for (name, prefix, bytes) in lines {
            call.headers.append(
                name,
                HeaderValue::from_bytes(&[prefix.as_bytes(), &bytes].concat()).unwrap(),
            );
        }
        let before = shop.node.invoices_created();
        let answer = runtime.block_on(ask(&app, call.request()));
        let owed = match answer.status() {
            StatusCode::PAYMENT_REQUIRED => 1,
            StatusCode::BAD_REQUEST => 0,
            status => return Err(TestCaseError::fail(format!("{status}"))),
        };
        prop_assert_eq!(shop.node.invoices_created(), before + owed);
        shop.clock.advance(Duration::from_secs(3));
        Ok(())
    });
    outcome.unwrap();
}
