use http::{HeaderValue, Method, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    bench::{AMOUNT, Bench, Call, PREIMAGE},
    wire::encode_header,
    *,
};
use crate::{
    clock::Timestamp,
    codec::base64,
    dialect::keys::OriginKeys,
    payment::{Amount, Network, Spend},
};

fn strict() -> Bench {
    let mut bench = Bench::new();
    bench.terms.foreign_proofs_since = None;
    bench
}

/// A request of the bench with the credential that was paid for.
fn paid(bench: &Bench) -> Call {
    let call = bench.call();
    let challenge = bench.challenge(&call, &bench.invoice(&call));
    let credential = bench.credential(&call, &challenge);
    call.with(&credential)
}

fn code(bench: &Bench, call: &Call) -> &'static str {
    bench.prove(call).map_or_else(|refusal| refusal.map_or("not read", |refusal| refusal.code()), |_| "proof")
}

/// The same credential with its JSON changed.
fn edited(call: &Call, edit: impl FnOnce(&mut Value)) -> Call {
    let text = decode_header(call.head.headers[SIGNATURE].as_bytes()).unwrap();
    let mut value = serde_json::from_str(&text).unwrap();
    edit(&mut value);
    call.clone().with(&encode_header(value.to_string()).unwrap())
}

#[test]
fn a_paid_request_is_proved_with_its_quote_and_as_a_foreign_proof() {
    let bench = Bench::new();
    let call = paid(&bench);
    let proof = bench.prove(&call).unwrap();
    assert_eq!((proof.amount, proof.network, proof.payment_hash), (AMOUNT, Network::Bitcoin, PREIMAGE.payment_hash()));
    assert_eq!(proof.valid_until, Timestamp::from_unix_seconds(1_700_000_360));
    let Spend::Times { uses, restores, retain_until } = proof.spend else { panic!("{:?}", proof.spend) };
    assert_eq!((uses.get(), restores), (1, 0));
    assert_eq!(retain_until, Timestamp::from_unix_seconds(1_700_000_300 + 86_400 + 120 + 3_600));
    let foreign = call.clone().with(&bench.without_quote(&call.head.headers[SIGNATURE]));
    assert_eq!(bench.prove(&foreign).unwrap().payment_hash, PREIMAGE.payment_hash());
}

#[test]
fn a_proof_that_we_did_not_quote_needs_the_current_price_or_is_refused() {
    let mut bench = Bench::new();
    let call = paid(&bench);
    let foreign = call.clone().with(&bench.without_quote(&call.head.headers[SIGNATURE]));
    let view = bench.view(&foreign);
    let Presented::Authentic(claim) = X402.credential(&view, &bench.terms, bench.now) else { panic!("refused") };
    assert!(claim.needs_price());
    for price in [None, Some(Amount::from_sat(20)), Some(Amount::from_sat(22))] {
        let refusal = claim.verify(&view, &bench.terms, price, bench.now).unwrap_err();
        assert_eq!(refusal.code(), "invalid_exact_lnbtc_amount_mismatch");
    }
    bench.terms.foreign_proofs_since = None;
    assert_eq!(code(&bench, &foreign), "invalid_exact_lnbtc_extra_mismatch");
    assert_eq!(code(&bench, &call), "proof");
}

#[test]
fn a_proof_that_we_did_not_quote_is_refused_if_an_older_store_could_have_consumed_it() {
    let mut bench = Bench::new();
    let call = paid(&bench);
    let foreign = call.clone().with(&bench.without_quote(&call.head.headers[SIGNATURE]));
    let made = bench.now.as_unix_seconds();
    let older = "invalid_exact_lnbtc_invoice_older_than_store";
    // The invoice's own date is `made`. At that of the store, less the skew, the older store was asked last.
    for (store, word) in [(made - 61, "proof"), (made - 60, older), (made, older), (made + 100, older), (u64::MAX, older)] {
        bench.terms.foreign_proofs_since = Some(Timestamp::from_unix_seconds(store));
        assert_eq!(code(&bench, &foreign), word, "{store}");
        assert_eq!(code(&bench, &call), "proof", "a quote of ours is under a key of this very store");
    }
}

#[test]
fn a_quote_under_another_secret_origin_or_store_is_no_quote() {
    for keys in [
        OriginKeys::of_secret(&[9; 32], Network::Bitcoin, ("https://api.example.com", ""), &[2; 16]),
        OriginKeys::of_secret(&[1; 32], Network::Bitcoin, ("https://other.example.com", ""), &[2; 16]),
        OriginKeys::of_secret(&[1; 32], Network::Signet, ("https://api.example.com", ""), &[2; 16]),
        OriginKeys::of_secret(&[1; 32], Network::Bitcoin, ("https://api.example.com", ""), &[9; 16]),
        OriginKeys::of_secret(&[1; 32], Network::Bitcoin, ("https://api.example.com", "other"), &[2; 16]),
    ] {
        let mut bench = strict();
        let call = paid(&bench);
        bench.keys = keys;
        assert_eq!(code(&bench, &call), "invalid_exact_lnbtc_extra_mismatch");
    }
}

#[test]
fn a_quote_covers_one_invoice_text_one_request_and_one_amount() {
    let bench = strict();
    let call = paid(&bench);
    let extra = "invalid_exact_lnbtc_extra_mismatch";
    let other = bench.invoice(&bench.call()).to_string();
    let changes: [(&str, Value); 4] = [
        ("/accepted/amount", json!("1")),
        ("/accepted/extra/requestHash", json!("00".repeat(32))),
        ("/accepted/extra/invoice", json!(other)),
        ("/accepted/extra/quote", json!("AQ")),
    ];
    for (pointer, value) in changes {
        let edited = edited(&call, |json| *json.pointer_mut(pointer).unwrap() = value);
        assert_eq!(code(&bench, &edited), extra, "{pointer}");
    }
    let upper = edited(&call, |json| {
        let invoice = json.pointer_mut("/accepted/extra/invoice").unwrap();
        *invoice = json!(invoice.as_str().unwrap().to_uppercase());
    });
    assert_eq!(code(&bench, &upper), extra);
}

#[test]
fn each_part_of_the_request_changed_alone_is_another_request() {
    let mut bench = strict();
    bench.terms.bound_headers = vec!["accept".into()];
    let call = paid(&bench);
    let change = |change: fn(&mut Call)| {
        let mut call = call.clone();
        change(&mut call);
        call
    };
    for (what, changed) in [
        ("method", change(|call| call.head.method = Method::POST)),
        ("head", change(|call| call.head.method = Method::HEAD)),
        ("path", change(|call| call.head.uri = "/weather/bergen?days=3".parse().unwrap())),
        ("query", change(|call| call.head.uri = "/weather/oslo?days=30".parse().unwrap())),
        ("body", change(|call| call.body_hash[31] ^= 1)),
        ("header", change(|call| drop(call.head.headers.insert("accept", HeaderValue::from_static("*/*"))))),
    ] {
        assert_eq!(code(&bench, &changed), "invalid_exact_lnbtc_request_mismatch", "{what}");
    }
    assert_eq!(code(&bench, &call), "proof");
}

#[test]
fn what_a_price_function_saw_is_bound_under_the_quote() {
    let mut bench = strict();
    bench.terms.has_bound = true;
    bench.bound = Some([4; 32]);
    let call = paid(&bench);
    assert_eq!(code(&bench, &call), "proof");
    for other in [Some([5; 32]), None] {
        bench.bound = other;
        assert_eq!(code(&bench, &call), "invalid_exact_lnbtc_request_mismatch");
    }
}

#[test]
fn the_head_tells_whether_a_price_function_saw_what_was_bought() {
    for (sold, asked) in [(true, false), (false, true)] {
        let mut bench = strict();
        (bench.terms.has_bound, bench.bound) = (sold, sold.then_some([4; 32]));
        let call = paid(&bench);
        assert!(matches!(X402.credential(&bench.view(&call), &bench.terms, bench.now), Presented::Authentic(_)));
        bench.terms.has_bound = asked;
        let Presented::Refused(refusal) = X402.credential(&bench.view(&call), &bench.terms, bench.now) else { panic!("{sold}") };
        assert_eq!(refusal.code(), "invalid_exact_lnbtc_request_mismatch");
    }
}

#[test]
fn an_extra_of_more_than_64_members_is_refused() {
    let judged = |count: usize| {
        let text = |names: &mut dyn Iterator<Item = usize>| {
            let members: String = names.map(|name| format!("\"{name}\":0,")).collect();
            let (pay_to, hash) = ("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", "00".repeat(32));
            format!(
                r#"{{"scheme":"exact","network":"{}","amount":"1","asset":"BTC","payTo":"{pay_to}","maxTimeoutSeconds":300,"extra":{{
                {members}"paymentFlow":"upfront","requestHash":"{hash}","requestBindingProfile":"http:1",
                "requestBindingParams":{{"headers":[]}},"invoice":"x"}}}}"#,
                Network::Bitcoin.caip2(),
            )
        };
        let required = text(&mut (0..count));
        let accepted = text(&mut (0..count).rev());
        let payload = format!(r#"{{"x402Version":2,"accepted":{accepted},"payload":{{"preimage":"00"}}}}"#);
        let (payload, required) =
            (PaymentPayload::from_json(&payload).unwrap(), PaymentRequirements::from_json(&required).unwrap());
        verify(&payload, &required, &Conditions::at(Timestamp::from_unix_seconds(1_700_000_000))).unwrap_err()
    };
    let reasons = [59, 60, 40_000].map(judged);
    assert_eq!(reasons, [Reason::InvoiceDecodeFailed, Reason::ExtraMismatch, Reason::ExtraMismatch]);
}

#[test]
fn what_was_quoted_is_honoured_after_the_terms_have_changed() {
    let mut bench = strict();
    let call = paid(&bench);
    bench.terms.invoice_expiry = std::time::Duration::from_secs(900);
    bench.terms.redeem_within = std::time::Duration::ZERO;
    bench.terms.pay_to = Some([2; 33]);
    let proof = bench.prove(&call).unwrap();
    let Spend::Times { retain_until, .. } = proof.spend else { panic!("{:?}", proof.spend) };
    assert_eq!(retain_until.as_unix_seconds(), 1_700_000_300 + 86_400 + 120 + 3_600);
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
    assert!(matches!(presented, Presented::Refused(_)), "known from the head, before any body is read");
}

#[test]
fn changed_terms_are_named_by_the_words_of_the_specification() {
    for bench in [strict(), Bench::new()] {
        let call = paid(&bench);
        let unquoted = call.clone().with(&bench.without_quote(&call.head.headers[SIGNATURE]));
        for (pointer, value, word) in [
            ("/accepted/scheme", json!("upto"), "unsupported_scheme"),
            ("/accepted/network", json!("lnbtc:000000000933ea01ad0ee984209779ba"), "network_mismatch"),
            ("/accepted/amount", json!(21_000), "invalid_exact_lnbtc_amount"),
            ("/accepted/amount", json!("021000"), "invalid_exact_lnbtc_amount"),
            ("/accepted/amount", json!("18446744073709551616"), "invalid_exact_lnbtc_amount"),
            ("/accepted/asset", json!("btc"), "invalid_exact_lnbtc_asset"),
            ("/accepted/payTo", json!("02"), "invalid_exact_lnbtc_pay_to_mismatch"),
            ("/accepted/maxTimeoutSeconds", json!(300.0), "invalid_exact_lnbtc_max_timeout_mismatch"),
            ("/accepted/maxTimeoutSeconds", json!(true), "invalid_exact_lnbtc_max_timeout_mismatch"),
            ("/accepted/extra/assetTransferMethod", json!(null), "invalid_exact_lnbtc_asset_transfer_method"),
            ("/accepted/extra/paymentFlow", json!("authorization"), "invalid_exact_lnbtc_payment_flow"),
            ("/accepted/extra/requestBindingProfile", json!("http:2"), "invalid_exact_lnbtc_request_binding"),
            ("/accepted/extra/requestBindingParams", json!({"headers": ["cookie"]}), "invalid_exact_lnbtc_request_mismatch"),
            ("/payload/preimage", json!(null), "invalid_exact_lnbtc_preimage_missing"),
            ("/payload/preimage", json!(7), "invalid_exact_lnbtc_preimage_malformed"),
            ("/payload/preimage", json!(""), "invalid_exact_lnbtc_preimage_length"),
            ("/payload/preimage", json!("00".repeat(32)), "invalid_exact_lnbtc_preimage_hash_mismatch"),
            ("/x402Version", json!(1), "invalid_x402_version"),
        ] {
            let call = if pointer == "/payload/preimage" { &call } else { &unquoted };
            let edited = edited(call, |json| *json.pointer_mut(pointer).unwrap() = value.clone());
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
    assert_eq!(code(&bench, &spelled(base64::encode_standard(&padded))), "proof");
    for bad in [
        base64::encode_standard(&padded).trim_end_matches('=').to_owned(),
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
fn one_credential_and_of_version_2_or_the_request_is_wrong() {
    let bench = strict();
    let mut call = paid(&bench);
    let credential = call.head.headers[SIGNATURE].clone();
    call.headers_mut().append(SIGNATURE, credential);
    let presented = |call: &Call| X402.credential(&bench.view(call), &bench.terms, bench.now);
    assert!(matches!(presented(&call), Presented::Wrong(_)));
    call.headers_mut().remove(SIGNATURE);
    assert!(matches!(presented(&call), Presented::Absent));
    call.headers_mut().insert(VERSION_1, HeaderValue::from_static("e30="));
    assert!(matches!(presented(&call), Presented::Wrong(text) if text.contains("PAYMENT-SIGNATURE")));
    X402.strip(call.headers_mut(), &bench.terms);
    assert!(call.head.headers.is_empty());
}

#[test]
fn what_cannot_be_redeemed_is_not_offered() {
    let bench = strict();
    assert!(X402.offers(&bench.terms, None) && X402.offers(&bench.terms, Some(AMOUNT)));
    assert!(!X402.offers(&bench.terms, Some(Amount::ZERO)));
    for change in [
        |terms: &mut Terms| terms.access = Access::ForDuration(std::time::Duration::from_secs(1)),
        |terms: &mut Terms| terms.streams_body = true,
        |terms: &mut Terms| terms.pay_to = None,
    ] {
        let mut terms = bench.terms.clone();
        change(&mut terms);
        assert!(!X402.offers(&terms, Some(AMOUNT)));
    }
    let call = bench.call();
    for target in ["/a|b", "//evil.example/a", "/%zz", "/{city}", "no-slash"] {
        let view = RequestView { target, ..bench.view(&call) };
        assert!(X402.description(&view, &bench.terms).is_err(), "{target}");
    }
}

#[test]
fn an_invoice_that_says_anything_else_is_not_put_into_a_challenge() {
    let mut bench = strict();
    let call = bench.call();
    let invoice = bench.invoice(&call);
    let asked = |bench: &Bench, amount| {
        let (view, committed) = (bench.view(&call), bench.committed(&call).hash);
        let asked =
            Asked { view: &view, terms: &bench.terms, amount, invoice: &invoice, committed: Some(&committed), refused: None };
        X402.challenge(&asked).is_ok()
    };
    assert!(asked(&bench, AMOUNT));
    let view = bench.view(&call);
    for committed in [None, Some(&[0; 32])] {
        let asked = Asked { view: &view, terms: &bench.terms, amount: AMOUNT, invoice: &invoice, committed, refused: None };
        assert!(X402.challenge(&asked).is_err(), "{committed:?}");
    }
    assert!(!asked(&bench, Amount::from_sat(20)));
    bench.terms.bound_headers = vec!["accept".into()];
    assert!(!asked(&bench, AMOUNT));
    bench.terms.bound_headers.clear();
    bench.terms.pay_to = Some([2; 33]);
    assert!(!asked(&bench, AMOUNT));
}

#[test]
fn a_refusal_travels_in_both_headers() {
    let bench = strict();
    let refusal = X402.spent();
    let (name, value) = X402.refusal(&refusal, &bench.terms).unwrap();
    let text = decode_header(value.as_bytes()).unwrap();
    let response = SettlementResponse::from_json(&text).unwrap();
    assert_eq!(name, "payment-response");
    assert_eq!((response.is_success(), response.error_reason()), (false, Some("duplicate_settlement")));
    assert_eq!((response.transaction(), response.network()), ("", Network::Bitcoin.caip2()));
    let call = bench.call();
    let (view, invoice, committed) = (bench.view(&call), bench.invoice(&call), Some(&bench.committed(&call).hash));
    let asked = Asked { view: &view, terms: &bench.terms, amount: AMOUNT, invoice: &invoice, committed, refused: Some(&refusal) };
    let lines = X402.challenge(&asked).unwrap();
    let text = decode_header(lines[0].value.as_bytes()).unwrap();
    let required = PaymentRequired::from_json(&text).unwrap();
    assert_eq!(
        (required.error(), required.url()),
        (Some("duplicate_settlement"), Some("https://api.example.com/weather/oslo?days=3"))
    );
}

#[test]
fn a_receipt_is_sent_on_any_status() {
    let bench = strict();
    let proof = bench.prove(&paid(&bench)).unwrap();
    let target = http::uri::PathAndQuery::from_static("/");
    let receipt = PaymentReceipt::new(proof, (Method::GET, "https://a".into(), target), bench.now, Some(0));
    let (name, value) = X402.receipt(&receipt, StatusCode::SERVICE_UNAVAILABLE, bench.now).unwrap();
    let text = decode_header(value.as_bytes()).unwrap();
    assert_eq!(name, "payment-response");
    let settled = SettlementResponse::settled(Network::Bitcoin, PREIMAGE.payment_hash());
    assert_eq!(SettlementResponse::from_json(&text), Some(settled));
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

#[test]
fn a_proof_that_ended_between_head_and_body_is_refused() {
    let bench = Bench::new();
    let call = paid(&bench);
    let view = bench.view(&call);
    let Presented::Authentic(claim) = X402.credential(&view, &bench.terms, bench.now) else { panic!("refused") };
    let refusal = claim.verify(&view, &bench.terms, None, Timestamp::from_unix_seconds(1_700_000_361)).unwrap_err();
    assert_eq!(refusal.code(), "invalid_exact_lnbtc_invoice_expired");
}
