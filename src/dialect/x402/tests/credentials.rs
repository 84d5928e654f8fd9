//! How a credential may be written, and which terms it may name.

use http::HeaderValue;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{clock::Timestamp, codec::base64, payment::Network};

#[test]
fn a_fixed_price_may_become_a_function_and_the_other_way_round() {
    for sold in ["", "@query", "@query,@body"] {
        for today in ["", "@query", "@query,@body"] {
            let mut bench = strict();
            sold.clone_into(&mut bench.terms.binds);
            let call = paid(&bench);
            today.clone_into(&mut bench.terms.binds);
            assert_eq!(code(&bench, &call), "proof", "{sold} {today}");
            let mut other = call.clone();
            other.body_hash = [1; 32];
            let mismatch = "invalid_exact_lnbtc_request_mismatch";
            assert_eq!(code(&bench, &other), mismatch, "{sold} {today}");
        }
    }
}

#[test]
fn an_extra_of_more_than_64_members_is_refused() {
    let judged = |count: usize| {
        let text = |names: &mut dyn Iterator<Item = usize>| {
            let members: String = names.map(|name| format!("\"{name}\":0,")).collect();
            let (pay_to, hash) = (
                "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
                "00".repeat(32),
            );
            format!(
                r#"{{"scheme":"exact","network":"{}","amount":"1","asset":"BTC","payTo":"{pay_to}","maxTimeoutSeconds":300,"extra":{{
                {members}"paymentFlow":"upfront","requestHash":"{hash}","requestBindingProfile":"http:1",
                "requestBindingParams":{{"headers":[]}},"invoice":"x"}}}}"#,
                Network::Bitcoin.caip2(),
            )
        };
        let required = text(&mut (0..count));
        let accepted = text(&mut (0..count).rev());
        let payload =
            format!(r#"{{"x402Version":2,"accepted":{accepted},"payload":{{"preimage":"00"}}}}"#);
        let (payload, required) = (
            PaymentPayload::from_json(&payload).unwrap(),
            PaymentRequirements::from_json(&required).unwrap(),
        );
        verify(
            &payload,
            &required,
            &Conditions::at(Timestamp::from_unix_seconds(1_700_000_000)),
        )
        .unwrap_err()
    };
    let reasons = [59, 60, 40_000].map(judged);
    assert_eq!(
        reasons,
        [
            Reason::InvoiceDecodeFailed,
            Reason::ExtraMismatch,
            Reason::ExtraMismatch
        ]
    );
}

#[test]
fn the_last_moment_is_sixty_seconds_after_the_invoice() {
    let mut bench = strict();
    let call = paid(&bench);
    bench.now = Timestamp::from_unix_seconds(1_700_000_360);
    assert_eq!(code(&bench, &call), "proof");
    bench.now = Timestamp::from_unix_seconds(1_700_000_361);
    assert_eq!(code(&bench, &call), "invalid_exact_lnbtc_invoice_expired");
    let presented = X402.credential(&bench.view(&call), &bench.terms, bench.now);
    assert!(
        matches!(presented, Presented::Refused(_)),
        "known from the head, before any body is read"
    );
}

#[test]
fn changed_terms_are_named_by_the_words_of_the_specification() {
    for bench in [strict(), Bench::new()] {
        let call = paid(&bench);
        let unquoted = call
            .clone()
            .with(&bench.without_quote(&call.head.headers[SIGNATURE]));
        for (pointer, value, word) in [
            ("/accepted/scheme", json!("upto"), "unsupported_scheme"),
            (
                "/accepted/network",
                json!("lnbtc:000000000933ea01ad0ee984209779ba"),
                "network_mismatch",
            ),
            (
                "/accepted/amount",
                json!(21_000),
                "invalid_exact_lnbtc_amount",
            ),
            (
                "/accepted/amount",
                json!("021000"),
                "invalid_exact_lnbtc_amount",
            ),
            (
                "/accepted/amount",
                json!("18446744073709551616"),
                "invalid_exact_lnbtc_amount",
            ),
            ("/accepted/asset", json!("btc"), "invalid_exact_lnbtc_asset"),
            (
                "/accepted/payTo",
                json!("02"),
                "invalid_exact_lnbtc_pay_to_mismatch",
            ),
            (
                "/accepted/maxTimeoutSeconds",
                json!(300.0),
                "invalid_exact_lnbtc_max_timeout_mismatch",
            ),
            (
                "/accepted/maxTimeoutSeconds",
                json!(true),
                "invalid_exact_lnbtc_max_timeout_mismatch",
            ),
            (
                "/accepted/extra/assetTransferMethod",
                json!(null),
                "invalid_exact_lnbtc_asset_transfer_method",
            ),
            (
                "/accepted/extra/paymentFlow",
                json!("authorization"),
                "invalid_exact_lnbtc_payment_flow",
            ),
            (
                "/accepted/extra/requestBindingProfile",
                json!("http:2"),
                "invalid_exact_lnbtc_request_binding",
            ),
            (
                "/accepted/extra/requestBindingParams",
                json!({"headers": ["cookie"]}),
                "invalid_exact_lnbtc_request_mismatch",
            ),
            (
                "/payload/preimage",
                json!(null),
                "invalid_exact_lnbtc_preimage_missing",
            ),
            (
                "/payload/preimage",
                json!(7),
                "invalid_exact_lnbtc_preimage_malformed",
            ),
            (
                "/payload/preimage",
                json!(""),
                "invalid_exact_lnbtc_preimage_length",
            ),
            (
                "/payload/preimage",
                json!("00".repeat(32)),
                "invalid_exact_lnbtc_preimage_hash_mismatch",
            ),
            ("/x402Version", json!(1), "invalid_x402_version"),
        ] {
            let call = if pointer == "/payload/preimage" {
                &call
            } else {
                &unquoted
            };
            let edited = edited(call, |json| {
                *json.pointer_mut(pointer).unwrap() = value.clone()
            });
            assert_eq!(code(&bench, &edited), word, "{pointer} {value}");
        }
    }
}

#[test]
fn a_header_in_another_spelling_is_refused() {
    let bench = strict();
    let call = paid(&bench);
    let text = decode_header(call.head.headers[SIGNATURE].as_bytes()).unwrap();
    let padded = format!("{text}{}", " ".repeat(3 - (text.len() + 2) % 3));
    let spelled = |value: String| call.clone().with(&value.parse().unwrap());
    assert_eq!(
        code(&bench, &spelled(base64::encode_standard(&padded))),
        "proof"
    );
    for bad in [
        base64::encode_standard(&padded)
            .trim_end_matches('=')
            .to_owned(),
        base64::encode_url(&padded),
        base64::encode_standard(text.replace("\"preimage\"", "\"preimage\":\"00\",\"preimage\"")),
        base64::encode_standard(&text[1..]),
        base64::encode_standard(format!("{text}{text}")),
        base64::encode_standard(format!("{text}{}", " ".repeat(48 * 1024))),
        text.clone(),
    ] {
        assert_eq!(code(&bench, &spelled(bad)), "invalid_payload");
    }
}

#[test]
fn two_credentials_or_one_of_version_1_make_the_request_wrong() {
    let bench = strict();
    let mut call = paid(&bench);
    let credential = call.head.headers[SIGNATURE].clone();
    call.headers_mut().append(SIGNATURE, credential);
    let presented = |call: &Call| X402.credential(&bench.view(call), &bench.terms, bench.now);
    assert!(matches!(presented(&call), Presented::Wrong(_)));
    call.headers_mut().remove(SIGNATURE);
    assert!(matches!(presented(&call), Presented::Absent));
    call.headers_mut()
        .insert(VERSION_1, HeaderValue::from_static("e30="));
    assert!(
        matches!(presented(&call), Presented::Wrong(text) if text.contains("PAYMENT-SIGNATURE"))
    );
    X402.strip(call.headers_mut(), &bench.terms);
    assert!(call.head.headers.is_empty());
}

#[test]
fn a_proof_that_ended_between_head_and_body_is_refused() {
    let bench = Bench::new();
    let call = paid(&bench);
    let view = bench.view(&call);
    let Presented::Authentic(claim) = X402.credential(&view, &bench.terms, bench.now) else {
        panic!("refused")
    };
    let refusal = claim
        .verify(
            &view,
            &bench.terms,
            None,
            Timestamp::from_unix_seconds(1_700_000_361),
        )
        .unwrap_err();
    assert_eq!(refusal.code(), "invalid_exact_lnbtc_invoice_expired");
}

proptest! {
    #[test]
    fn no_changed_byte_of_a_credential_makes_another_proof(at: prop::sample::Index, flip in 1_u8..128) {
        let bench = strict();
        let call = paid(&bench);
        let mut bytes = decode_header(call.head.headers[SIGNATURE].as_bytes()).unwrap().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let changed = call.with(&encode_header(bytes).unwrap());
        if let Ok(proof) = bench.prove(&changed) {
            prop_assert_eq!((proof.amount, proof.payment_hash), (AMOUNT, PREIMAGE.payment_hash()));
        }
    }
}
