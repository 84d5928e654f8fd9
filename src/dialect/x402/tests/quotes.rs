//! A proof with our quote, a proof without it, and what a quote covers.

use crate::dialect::list::keys_of_secret;
use http::{HeaderValue, Method};
use serde_json::json;

use super::*;
use crate::{
    clock::Timestamp,
    payment::{Amount, Network, Spend},
};

#[test]
fn a_paid_request_is_proved_with_its_quote_and_as_a_foreign_proof() {
    let bench = Bench::new();
    let call = paid(&bench);
    let proof = bench.prove(&call).unwrap();
    assert_eq!(
        (proof.amount, proof.network, proof.payment_hash),
        (AMOUNT, Network::Bitcoin, PREIMAGE.payment_hash())
    );
    assert_eq!(
        proof.valid_until,
        Timestamp::from_unix_seconds(1_700_000_360)
    );
    let Spend::Times {
        uses,
        restores,
        retain_until,
    } = proof.spend
    else {
        panic!("{:?}", proof.spend)
    };
    assert_eq!((uses.get(), restores), (1, 0));
    assert_eq!(
        retain_until,
        Timestamp::from_unix_seconds(1_700_000_300 + 86_400 + 120 + 3_600)
    );
    let foreign = call
        .clone()
        .with(&bench.without_quote(&call.head.headers[SIGNATURE]));
    assert_eq!(
        bench.prove(&foreign).unwrap().payment_hash,
        PREIMAGE.payment_hash()
    );
}

#[test]
fn a_proof_that_we_did_not_quote_needs_the_current_price_or_is_refused() {
    let mut bench = Bench::new();
    let call = paid(&bench);
    let foreign = call
        .clone()
        .with(&bench.without_quote(&call.head.headers[SIGNATURE]));
    let view = bench.view(&foreign);
    let Presented::Authentic(claim) = X402.credential(&view, &bench.terms, bench.now) else {
        panic!("refused")
    };
    assert!(claim.needs_price());
    for price in [None, Some(Amount::from_sat(20)), Some(Amount::from_sat(22))] {
        let refusal = claim
            .verify(&view, &bench.terms, price, bench.now)
            .unwrap_err();
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
    let foreign = call
        .clone()
        .with(&bench.without_quote(&call.head.headers[SIGNATURE]));
    let made = bench.now.as_unix_seconds();
    let older = "invalid_exact_lnbtc_invoice_older_than_store";
    // An older server, whose clock was 60 s ahead of this store's, took dates 60 s ahead of that.
    for (store, word) in [
        (made - 121, "proof"),
        (made - 120, older),
        (made - 60, older),
        (made, older),
        (made + 100, older),
        (u64::MAX, older),
    ] {
        bench.terms.foreign_proofs_since = Some(Timestamp::from_unix_seconds(store));
        assert_eq!(code(&bench, &foreign), word, "{store}");
        assert_eq!(
            code(&bench, &call),
            "proof",
            "a quote of ours is under a key of this very store"
        );
    }
}

#[test]
fn a_quote_under_another_secret_origin_or_store_is_no_quote() {
    for keys in [
        keys_of_secret(
            &[9; 32],
            Network::Bitcoin,
            ("https://api.example.com", ""),
            &[2; 16],
        ),
        keys_of_secret(
            &[1; 32],
            Network::Bitcoin,
            ("https://other.example.com", ""),
            &[2; 16],
        ),
        keys_of_secret(
            &[1; 32],
            Network::Signet,
            ("https://api.example.com", ""),
            &[2; 16],
        ),
        keys_of_secret(
            &[1; 32],
            Network::Bitcoin,
            ("https://api.example.com", ""),
            &[9; 16],
        ),
        keys_of_secret(
            &[1; 32],
            Network::Bitcoin,
            ("https://api.example.com", "other"),
            &[2; 16],
        ),
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
        (
            "path",
            change(|call| call.head.uri = "/weather/bergen?days=3".parse().unwrap()),
        ),
        (
            "query",
            change(|call| call.head.uri = "/weather/oslo?days=30".parse().unwrap()),
        ),
        ("body", change(|call| call.body_hash[31] ^= 1)),
        (
            "header",
            change(|call| {
                drop(
                    call.head
                        .headers
                        .insert("accept", HeaderValue::from_static("*/*")),
                )
            }),
        ),
    ] {
        assert_eq!(
            code(&bench, &changed),
            "invalid_exact_lnbtc_request_mismatch",
            "{what}"
        );
    }
    assert_eq!(code(&bench, &call), "proof");
}

const MISMATCH: &str = "invalid_exact_lnbtc_request_mismatch";

#[test]
fn what_a_price_function_saw_is_bound_under_the_quote() {
    let mut bench = strict();
    bench.terms.binds = "@query".to_owned();
    let mut call = paid(&bench);
    assert_eq!(code(&bench, &call), "proof");
    // A layer further out may rewrite the query, and leave the target alone that is bound.
    let asked_for = bench.call();
    let target = asked_for.head.uri.path_and_query().unwrap().as_str();
    call.head.uri = "/weather/oslo?days=9".parse().unwrap();
    for today in ["@query", "", "@query,@body"] {
        today.clone_into(&mut bench.terms.binds);
        let view = RequestView {
            target,
            ..bench.view(&call)
        };
        let Presented::Authentic(claim) = X402.credential(&view, &bench.terms, bench.now) else {
            panic!("{today}")
        };
        let verdict = claim.verify(&view, &bench.terms, None, bench.now);
        assert_eq!(verdict.unwrap_err().code(), MISMATCH, "{today}");
    }
}

#[test]
fn an_earlier_charge_is_verified_and_its_parameters_are_never_taken_from_the_proof() {
    let plain = strict().terms;
    let bound = Terms {
        bound_headers: vec!["accept".to_owned()],
        binds: "accept".to_owned(),
        ..plain.clone()
    };
    let both = Terms {
        bound_headers: vec!["accept".to_owned(), "host".to_owned()],
        binds: "accept,host".to_owned(),
        ..plain.clone()
    };
    let all = [plain, bound, both];
    for (sold, today) in (0..3).flat_map(|sold| (0..3).map(move |today| (sold, today))) {
        let mut bench = strict();
        let key = bench.terms.pay_to;
        let of = |terms: &Terms| Terms {
            pay_to: key,
            ..terms.clone()
        };
        bench.terms = of(&all[sold]);
        let call = paid(&bench);
        bench.terms = of(&all[today]);
        let expected = if sold == today { "proof" } else { MISMATCH };
        assert_eq!(code(&bench, &call), expected, "{sold} {today}");
        bench.terms.earlier = all.iter().map(of).collect();
        assert_eq!(code(&bench, &call), "proof", "{sold} {today}");
        let mut other = call.clone();
        other
            .head
            .headers
            .insert("accept", "text/plain".parse().unwrap());
        let expected = if sold == 0 { "proof" } else { MISMATCH };
        assert_eq!(code(&bench, &other), expected, "{sold} {today}");
    }
}

#[test]
fn what_was_sold_before_a_moment_is_void() {
    let mut bench = strict();
    let call = paid(&bench);
    bench.terms.sold_since = Some(bench.now);
    assert_eq!(code(&bench, &call), "proof");
    let later = std::time::Duration::from_secs(1);
    bench.terms.sold_since = Some(bench.now.saturating_add(later));
    assert_eq!(code(&bench, &call), "invalid_transaction_state");
}

#[test]
fn what_was_quoted_is_honoured_after_the_terms_have_changed() {
    let mut bench = strict();
    let call = paid(&bench);
    bench.terms.invoice_expiry = std::time::Duration::from_secs(900);
    bench.terms.redeem_within = std::time::Duration::ZERO;
    bench.terms.pay_to = Some([2; 33]);
    let proof = bench.prove(&call).unwrap();
    let Spend::Times { retain_until, .. } = proof.spend else {
        panic!("{:?}", proof.spend)
    };
    assert_eq!(
        retain_until.as_unix_seconds(),
        1_700_000_300 + 86_400 + 120 + 3_600
    );
}
