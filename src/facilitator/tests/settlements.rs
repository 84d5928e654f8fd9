//! Tests of what settles once, and of what is refused before the store is asked.

use std::time::Duration;

use super::*;
use crate::payment::Network;

#[tokio::test]
async fn a_proof_settles_once_and_has_no_payer() {
    let stage = stage(|builder| builder);
    let settled = stage.settle(&stage.document).await;
    assert_eq!(settled["success"], true);
    assert_eq!(settled["network"], Network::Bitcoin.caip2());
    assert_eq!(settled["transaction"].as_str().unwrap().len(), 64);
    assert_eq!(settled.as_object().unwrap().len(), 3);
    let again = stage.settle(&stage.document).await;
    assert_eq!(
        (&again["success"], &again["errorReason"]),
        (&json!(false), &json!("duplicate_settlement"))
    );
    let until = stage.store.spent.lock().unwrap().values().next().unwrap().1;
    assert_eq!(
        until.as_unix_seconds(),
        1_700_000_300 + 86_400 + 120 + 3_600
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_answer_settles_nothing_and_spends_nothing() {
    let stage = stage(|builder| builder);
    for trouble in [Trouble::Fails, Trouble::Hangs] {
        *stage.store.trouble.lock().unwrap() = Some(trouble);
        let failed = stage.settle(&stage.document).await;
        assert_eq!(
            (&failed["success"], &failed["errorReason"]),
            (&json!(false), &json!("settlement_failed")),
            "{trouble:?}"
        );
        assert!(stage.store.spent.lock().unwrap().is_empty());
    }
    *stage.store.trouble.lock().unwrap() = None;
    assert_eq!(stage.settle(&stage.document).await["success"], true);
}

#[tokio::test]
async fn a_caller_that_disconnects_spends_nothing() {
    let stage = stage(|builder| builder);
    *stage.store.trouble.lock().unwrap() = Some(Trouble::Hangs);
    {
        let mut call = tokio_test::task::spawn(stage.settle(&stage.document));
        assert!(call.poll().is_pending());
        assert_eq!(stage.store.spent.lock().unwrap().len(), 1);
    }
    assert!(stage.store.spent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_served_never_reaches_the_store() {
    let others = stage(|builder| builder);
    let short = stage(|builder| builder.max_timeout(Duration::from_secs(299)));
    let testnet = stage(|builder| builder.networks([Network::Testnet]));
    let late =
        stage(|builder| builder.clock(TestClock::at(Timestamp::from_unix_seconds(1_700_000_361))));
    let wrong = |change: fn(&mut Value)| {
        let mut document = others.document.clone();
        change(&mut document);
        document
    };
    for (stage, document, word) in [
        (
            &others,
            short.document.clone(),
            "invalid_exact_lnbtc_pay_to_mismatch",
        ),
        (
            &short,
            short.document.clone(),
            "invalid_exact_lnbtc_max_timeout",
        ),
        (&testnet, testnet.document.clone(), "unsupported_network"),
        (
            &late,
            late.document.clone(),
            "invalid_exact_lnbtc_invoice_expired",
        ),
        (
            &others,
            wrong(|json| json["x402Version"] = json!(1)),
            "invalid_x402_version",
        ),
        (
            &others,
            wrong(|json| json["paymentPayload"]["x402Version"] = json!(1)),
            "invalid_x402_version",
        ),
        (
            &others,
            wrong(|json| json["paymentPayload"] = json!([])),
            "invalid_payload",
        ),
        (
            &others,
            wrong(|json| json["paymentRequirements"] = json!("")),
            "invalid_payment_requirements",
        ),
    ] {
        let refused = stage.settle(&document).await;
        assert_eq!(
            (&refused["success"], &refused["errorReason"]),
            (&json!(false), &json!(word))
        );
        assert_eq!(stage.asked(), 0, "{word}");
    }
}

#[tokio::test]
async fn both_sides_name_profile_and_extra_alike() {
    let stage = stage(|builder| builder);
    for (side, pointer, value, word) in [
        (
            "paymentRequirements",
            "requestBindingProfile",
            json!(null),
            "request_binding",
        ),
        (
            "paymentRequirements",
            "requestBindingProfile",
            json!("http:2"),
            "request_binding",
        ),
        (
            "paymentRequirements",
            "requestBindingParams",
            json!({"headers": [], "more": 1}),
            "request_binding",
        ),
        (
            "paymentRequirements",
            "requestBindingParams",
            json!({"headers": ["accept"]}),
            "request_mismatch",
        ),
        (
            "paymentRequirements",
            "paymentFlow",
            json!("escrow"),
            "payment_flow",
        ),
        (
            "paymentRequirements",
            "assetTransferMethod",
            json!("bolt12"),
            "asset_transfer_method",
        ),
        (
            "paymentRequirements",
            "assetTransferMethod",
            json!(null),
            "asset_transfer_method",
        ),
        (
            "paymentRequirements",
            "invoice",
            json!(""),
            "invoice_missing",
        ),
        (
            "paymentRequirements",
            "tier",
            json!("gold"),
            "extra_mismatch",
        ),
        (
            "paymentRequirements",
            "quote",
            json!("other"),
            "extra_mismatch",
        ),
    ] {
        let mut document = stage.document.clone();
        document[side]["extra"][pointer] = value.clone();
        let refused = stage.settle(&document).await;
        assert_eq!(
            refused["errorReason"],
            format!("invalid_exact_lnbtc_{word}"),
            "{pointer} {value}"
        );
    }
    let mut document = stage.document.clone();
    document["paymentPayload"]["accepted"]["extra"]["note"] = json!("of the client");
    document["paymentRequirements"]["extra"]["tier"] = json!({"a": 1, "b": [2]});
    document["paymentPayload"]["accepted"]["extra"]["tier"] = json!({"b": [2.0], "a": 1});
    assert_eq!(stage.asked(), 0);
    assert_eq!(stage.settle(&document).await["success"], true);
}

#[tokio::test]
async fn a_key_off_the_curve_is_malformed_before_it_is_not_served() {
    let stage = stage(|builder| builder);
    let off_the_curve = format!("02{}", "ff".repeat(32));
    let mut document = stage.document.clone();
    document["paymentRequirements"]["payTo"] = json!(off_the_curve);
    assert_eq!(
        stage.settle(&document).await["errorReason"],
        "invalid_exact_lnbtc_pay_to_mismatch"
    );
    document["paymentPayload"]["accepted"]["payTo"] = json!(off_the_curve);
    assert_eq!(
        stage.settle(&document).await["errorReason"],
        "invalid_exact_lnbtc_pay_to_malformed"
    );
    for side in ["paymentRequirements", "paymentPayload"] {
        let terms = if side == "paymentPayload" {
            &mut document[side]["accepted"]
        } else {
            &mut document[side]
        };
        terms["maxTimeoutSeconds"] = json!(0);
    }
    assert_eq!(
        stage.settle(&document).await["errorReason"],
        "invalid_exact_lnbtc_max_timeout"
    );
    assert_eq!(stage.asked(), 0);
}
