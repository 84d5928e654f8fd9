//! Everything from outside is hostile: a 4xx with a reason, no panic, and no invoice where none is owed.

use std::time::Duration;

use axum::{Router, routing::any};
use http::{HeaderName, HeaderValue, StatusCode, header};
use proptest::{prelude::*, test_runner::TestRunner};
use tower_x402::{
    Amount, DialectName, RouteTable,
    codec::base64,
    l402::{self, Macaroon},
    server::Charge,
};

use crate::{
    shop::{Shop, ask, get, problem, reason},
    trade::{Call, EVERY, PAYMENT_SIGNATURE},
};

fn service(shop: &Shop, dialects: &[DialectName]) -> Router {
    let paywall = shop.builder().dialects(dialects.iter().copied()).unpaid_in_all(100_000).build().unwrap();
    let layer = paywall.charge(Charge::of(Amount::from_sat(10)).bind_headers(["x-account"])).unwrap();
    Router::new().route("/{*path}", any(async || "sunny").layer(layer))
}

/// Refused with this reason, and with exactly one fresh invoice.
#[track_caller]
fn refused(shop: &Shop, before: u64, answer: &http::Response<bytes::Bytes>, word: &str, what: &str) {
    assert_eq!(reason(answer), word, "{what}");
    assert_eq!(shop.node.invoices_created(), before + 1, "{what}");
}

/// `macaroon:preimage`, whatever the bytes of the macaroon.
fn l402(bytes: impl AsRef<[u8]>, preimage: &str) -> String {
    format!("L402 {}:{preimage}", base64::encode_standard(bytes))
}

#[tokio::test]
async fn a_macaroon_that_is_cut_lengthened_or_changed_anywhere_is_refused() {
    let shop = Shop::new();
    let app = service(&shop, &[DialectName::L402]);
    let call = Call::new("GET", "/weather");
    let unpaid = ask(&app, call.request()).await;
    let macaroon = l402::Challenge::in_headers(unpaid.headers())[0].macaroon().unwrap().to_bytes();
    let preimage = shop.bought(&call, &unpaid).preimage.expose_hex();
    let spelled = |line: &str| call.clone().header(header::AUTHORIZATION, line).request();
    for end in (0..macaroon.len()).step_by(7) {
        let before = shop.node.invoices_created();
        let answer = ask(&app, spelled(&l402(&macaroon[..end], &preimage))).await;
        refused(&shop, before, &answer, "malformed", "a truncated macaroon");
    }
    for at in (0..macaroon.len()).step_by(3) {
        let mut changed = macaroon.clone();
        changed[at] ^= 1;
        let answer = ask(&app, spelled(&l402(changed, &preimage))).await;
        let words = ["malformed", "bad_identifier", "unknown_key", "bad_signature"];
        assert!(words.contains(&&*reason(&answer)), "byte {at}: {}", reason(&answer));
    }
    let longer = [&macaroon[..], &[0]].concat();
    assert_eq!(reason(&ask(&app, spelled(&l402(longer, &preimage))).await), "malformed");
    for wrong in ["", "00", &preimage[1..], &format!("{preimage}0"), &preimage.replace(['0', '1', '2'], "g")] {
        assert_eq!(reason(&ask(&app, spelled(&l402(&macaroon, wrong))).await), "malformed", "{wrong}");
    }
    assert_eq!(reason(&ask(&app, spelled(&l402(&macaroon, &"0".repeat(64)))).await), "bad_preimage");
    assert_eq!(ask(&app, spelled(&l402(&macaroon, &preimage.to_uppercase()))).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn caveats_without_end_and_numbers_without_measure_are_refused() {
    let shop = Shop::new();
    let app = service(&shop, &[DialectName::L402]);
    let call = Call::new("GET", "/weather");
    let unpaid = ask(&app, call.request()).await;
    let challenge = l402::Challenge::in_headers(unpaid.headers()).remove(0);
    let macaroon = challenge.macaroon().unwrap();
    let preimage = shop.bought(&call, &unpaid).preimage.expose_hex();
    let ask_with =
        async |bytes: Vec<u8>| ask(&app, call.clone().header(header::AUTHORIZATION, &l402(bytes, &preimage)).request()).await;

    let many = |count: usize| {
        let mut bytes = macaroon.to_bytes();
        let signature = bytes.split_off(bytes.len() - 35);
        (0..count).for_each(|_| bytes.extend_from_slice(&[2, 3, b'a', b'=', b'b', 0]));
        [bytes, signature].concat()
    };
    for count in [Macaroon::MAX_CAVEATS + 1, 1_000, 10_000, 1_000_000] {
        assert_eq!(reason(&ask_with(many(count)).await), "malformed", "{count} caveats");
    }
    for (caveat, word) in [
        ("valid_until=18446744073709551616", "bad_expiry"),
        ("valid_until=18446744073709551615", "widened"),
        ("valid_until=-1", "bad_expiry"),
        ("valid_until=", "bad_expiry"),
        ("valid_until=0", "expired"),
        ("amount_msat=99999999999999999999999", "widened"),
        ("uses=2", "widened"),
        ("uses=0", "spent"),
        ("uses=4294967297", "widened"),
        ("method=POST", "widened"),
        ("target=/other", "widened"),
        ("bound=00", "widened"),
        ("preimage=00", "preimage_caveat"),
        ("services=api.example.com:256", "bad_services"),
        ("services=other:0", "wrong_service"),
    ] {
        let narrowed = macaroon.attenuate(caveat).unwrap();
        assert_eq!(reason(&ask_with(narrowed.to_bytes()).await), word, "{caveat}");
    }
    let third_party = {
        let mut bytes = macaroon.to_bytes();
        let signature = bytes.split_off(bytes.len() - 35);
        [&bytes[..], &[2, 1, b'a', 4, 1, b'v', 0], &signature].concat()
    };
    assert_eq!(reason(&ask_with(third_party).await), "third_party_caveat");
    let unknown = macaroon.attenuate("colour=\u{e9}\u{0}").unwrap().attenuate([0xff; 40]).unwrap();
    assert_eq!(ask_with(unknown.to_bytes()).await.status(), StatusCode::OK, "unknown caveats are skipped");
}

#[tokio::test]
async fn headers_that_are_no_text_too_long_or_too_many_are_refused_with_a_reason() {
    let shop = Shop::new();
    let app = service(&shop, &EVERY);
    let deep = format!("{{\"x402Version\":2,\"accepted\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let huge = "{\"x402Version\":2,\"accepted\":{\"amount\":1e400000,\"maxTimeoutSeconds\":99999999999999999999},\"payload\":{}}";
    let twice = "{\"x402Version\":2,\"x402Version\":2,\"accepted\":{},\"payload\":{}}";
    let ours = tower_x402::codec::hex::encode(Macaroon::mint([1; 32], [0; 66], ["a=b"]).unwrap().to_bytes());
    let standard = |text: &str| base64::encode_standard(text).into_bytes();
    let payment = |text: &str| format!("Payment {}", base64::encode_url(text)).into_bytes();
    let cases: Vec<(HeaderName, Vec<u8>, &str)> = vec![
        (header::AUTHORIZATION, b"L402 ".to_vec(), "malformed"),
        (header::AUTHORIZATION, b"L402 \xff\xfe:\xff".to_vec(), "malformed"),
        (header::AUTHORIZATION, [b"L402 ", &vec![b'A'; 1_000_000][..]].concat(), "malformed"),
        (header::AUTHORIZATION, [b"LSAT ", &vec![b','; 100_000][..]].concat(), "malformed"),
        (header::AUTHORIZATION, b"L402 a, L402 b, L402 c, L402 d, L402 e".to_vec(), "malformed"),
        (header::AUTHORIZATION, b"Payment \xff".to_vec(), "malformed-credential"),
        (header::AUTHORIZATION, b"Payment ".to_vec(), "malformed-credential"),
        (header::AUTHORIZATION, [b"Payment ", &vec![b'A'; 1_000_000][..]].concat(), "malformed-credential"),
        (header::AUTHORIZATION, payment(&deep), "malformed-credential"),
        (header::AUTHORIZATION, payment("{\"challenge\":[],\"payload\":{}}"), "malformed-credential"),
        (header::AUTHORIZATION, payment("{\"challenge\":{},\"challenge\":{},\"payload\":{}}"), "malformed-credential"),
        (HeaderName::from_static("macaroon"), ours.into_bytes(), "malformed"),
        // Another service's, for all that this layer knows: no credential.
        (HeaderName::from_static("macaroon"), vec![b'0'; 1_000_000], ""),
        (HeaderName::from_static("macaroon"), b"\xff".to_vec(), ""),
        (PAYMENT_SIGNATURE, b"\xff\xff".to_vec(), "invalid_payload"),
        (PAYMENT_SIGNATURE, b"".to_vec(), "invalid_payload"),
        (PAYMENT_SIGNATURE, vec![b'A'; 1_000_000], "invalid_payload"),
        (PAYMENT_SIGNATURE, standard(&deep), "invalid_payload"),
        (PAYMENT_SIGNATURE, standard(twice), "invalid_payload"),
        (PAYMENT_SIGNATURE, standard("{\"x402Version\":1}"), "invalid_x402_version"),
        (PAYMENT_SIGNATURE, standard("[]"), "invalid_payload"),
    ];
    for (name, value, word) in cases {
        let before = shop.node.invoices_created();
        let mut call = Call::new("GET", "/weather");
        call.headers.append(&name, HeaderValue::from_bytes(&value).unwrap());
        let what = format!("{name}: {:.40}", String::from_utf8_lossy(&value));
        refused(&shop, before, &ask(&app, call.request()).await, word, &what);
    }
    let answer =
        ask(&app, Call::new("GET", "/weather").header(PAYMENT_SIGNATURE, &base64::encode_standard(huge)).request()).await;
    assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
    assert_ne!(reason(&answer), "");
}

#[tokio::test]
async fn a_genuine_credential_spelled_otherwise_is_refused_where_the_specification_is_strict() {
    let shop = Shop::new();
    let app = service(&shop, &EVERY);
    let call = Call::new("GET", "/weather");
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    let genuine = bought.of(DialectName::X402).1.to_str().unwrap();
    let json = tower_x402::x402::decode_header(genuine.as_bytes()).unwrap();
    // With all that sets the spellings of base64 apart.
    let marked = json.replacen('{', "{\"of-the-client\":\"???>>>~~~???>>>\",", 1);
    let marked = (0..3).map(|spaces| marked.clone() + &" ".repeat(spaces)).find(|text| text.len() % 3 == 1).unwrap();
    let genuine = base64::encode_standard(&marked);
    assert!(genuine.contains(['+', '/']) && genuine.ends_with("=="));
    for spelled in [
        base64::encode_url(&marked),
        base64::encode_url(&marked) + "==",
        genuine.trim_end_matches('=').to_owned(),
        genuine.trim_end_matches('=').to_owned() + "====",
        base64::encode_standard(json.replacen("{\"x402Version\":2", "{\"x402Version\":2,\"x402Version\":2", 1)),
        base64::encode_standard(json.replace("\"x402Version\":2", "\"x402Version\":\"2\"")),
        base64::encode_standard(json.replace("\"maxTimeoutSeconds\":300", "\"maxTimeoutSeconds\":300.5")),
        base64::encode_standard(json.replace("\"amount\":\"10000\"", "\"amount\":\"1\"")),
        base64::encode_standard(json.replace(&bought.preimage.expose_hex(), &bought.preimage.expose_hex().to_uppercase())),
        base64::encode_standard(format!("{json} x")),
    ] {
        assert_ne!(spelled, genuine);
        let answer = ask(&app, call.clone().header(PAYMENT_SIGNATURE, &spelled).request()).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{spelled}");
    }
    assert_eq!(ask(&app, call.header(PAYMENT_SIGNATURE, &genuine).request()).await.status(), StatusCode::OK);
}

#[test]
fn no_bytes_in_a_credentials_header_make_anything_but_a_refusal() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let shop = Shop::new();
    let app = service(&shop, &EVERY);
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
    let prefix = prop_oneof![Just(""), Just("L402 "), Just("LSAT AgEE"), Just("Payment "), Just("Payment eyJ"), Just("eyJ4NDAy")];
    let bytes = prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff, Just(b','), Just(b'='), Just(b':')], 0..80);
    let mut runner = TestRunner::new(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() });
    let lines = prop::collection::vec((name, prefix, bytes), 1..4);
    let outcome = runner.run(&lines, |lines| {
        let mut call = Call::new("GET", "/weather");
        for (name, prefix, bytes) in lines {
            call.headers.append(name, HeaderValue::from_bytes(&[prefix.as_bytes(), &bytes].concat()).unwrap());
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

#[tokio::test]
async fn a_target_that_no_dialect_can_say_is_400_and_costs_no_invoice() {
    for (dialect, target) in [
        (DialectName::L402, format!("/weather?{}", "q".repeat(14_000))),
        (DialectName::L402, format!("/{}", "%C3%A9".repeat(1_000))),
        (DialectName::X402, format!("/weather?{}", "q".repeat(14_000))),
        (DialectName::X402, format!("/weather?{}", "q".repeat(7_000))),
        (DialectName::X402, "/weather?a|b".to_owned()),
    ] {
        let shop = Shop::new();
        let app = service(&shop, &[dialect]);
        let answer = ask(&app, get(&target)).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{dialect}: {:.30} of {}", target, target.len());
        assert_eq!(
            problem(&answer)["detail"],
            "no dialect that is spoken here can say this request: shorten its target, and write it and bound headers in ASCII"
        );
        assert_eq!(shop.node.invoices_created(), 0, "{dialect}");
    }
}

#[tokio::test]
async fn whatever_is_offered_for_a_long_target_can_be_read_and_redeemed() {
    for length in [10, 1_000, 2_000, 3_000, 5_000, 6_500, 14_000, 40_000] {
        let shop = Shop::new();
        let app = service(&shop, &EVERY);
        let call = Call::new("GET", format!("/weather?{}", "q".repeat(length)));
        let answer = ask(&app, call.request()).await;
        let longest = answer.headers().values().map(HeaderValue::len).max().unwrap();
        assert!(longest < 16 * 1024, "a header line of {longest} bytes for a query of {length}");
        let offered = shop.bought(&call, &answer).dialects();
        assert!(offered.contains(&DialectName::Mpp), "{length}");
        assert_eq!(problem(&answer)["accepts"].as_array().unwrap().len(), offered.len());
        for dialect in offered {
            let bought = shop.bought(&call, &ask(&app, call.request()).await);
            assert_eq!(ask(&app, call.with(bought.of(dialect)).request()).await.status(), StatusCode::OK, "{dialect} {length}");
        }
    }
}

#[tokio::test]
async fn a_bound_header_that_is_no_text_leaves_x402_out_and_the_others_in() {
    let shop = Shop::new();
    let app = service(&shop, &EVERY);
    let mut call = Call::new("GET", "/weather");
    call.headers.append("x-account", HeaderValue::from_bytes(b"\xe9").unwrap());
    for dialect in [DialectName::L402, DialectName::Mpp] {
        let bought = shop.bought(&call, &ask(&app, call.request()).await);
        assert_eq!(bought.dialects(), [DialectName::L402, DialectName::Mpp]);
        let mut other = call.with(bought.of(dialect));
        other.headers.insert("x-account", HeaderValue::from_bytes(b"\xe8").unwrap());
        assert_eq!(ask(&app, other.request()).await.status(), StatusCode::PAYMENT_REQUIRED);
        assert_eq!(ask(&app, call.with(bought.of(dialect)).request()).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn quotes_commas_and_foreign_letters_in_a_description_split_no_challenge() {
    for text in
        ["a \"b\", L402 macaroon=\"c\"", "d\\", "Wetter f\u{fc}r \u{1f30d}", ", Payment id=\"x\"", "a|b", &"x".repeat(256)]
    {
        let shop = Shop::new();
        let paywall = shop.speaking_every_dialect();
        let charge = Charge::of(Amount::from_sat(10)).described(text);
        let table = RouteTable::new().charge("GET /weather", charge).otherwise_refuse();
        let app = Router::new().route("/weather", any(async || "sunny")).layer(paywall.routes(table).unwrap());
        let call = Call::new("GET", "/weather");
        let answer = ask(&app, call.request()).await;
        assert_eq!(answer.headers().get_all("www-authenticate").iter().count(), 3);
        let mut lines = answer.headers().get_all("www-authenticate").iter();
        assert!(lines.all(|line| line.to_str().is_ok()), "{text}");
        assert_eq!(shop.bought(&call, &answer).dialects(), EVERY, "{text}");
        assert_eq!(l402::Challenge::in_headers(answer.headers()).len(), 2, "{text}");
    }
}
