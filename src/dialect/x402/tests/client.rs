//! What a client checks before it pays, and what it stores.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::{
    dialect::client::{ChallengeError, ClientConditions, ClientRequest},
    payment::{Invoice, Network, Preimage},
};

/// The server's own challenge for a request, with its JSON changed.
fn challenge(bench: &Bench, call: &Call, edit: impl FnOnce(&mut Value)) -> Challenge {
    let line = bench.challenge(call, &bench.invoice(call));
    let mut value = serde_json::from_str(&decode_header(line.as_bytes()).unwrap()).unwrap();
    edit(&mut value);
    Challenge::in_json(&value.to_string()).remove(0)
}

fn check(
    bench: &Bench,
    call: &Call,
    edit: impl FnOnce(&mut Value),
) -> Result<Payable, ChallengeError> {
    let challenge = challenge(bench, call, edit);
    let conditions = ClientConditions::new(bench.terms.network, bench.now);
    call.with_request(|request| Payable::check(&challenge, request, &conditions))
}

#[test]
fn an_error_has_the_code_and_says_in_words_what_is_wrong() {
    let bench = strict();
    let error = check(&bench, &bench.call(), |value| {
        value["accepts"][0]["amount"] = "20000".into();
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "challenge refused: the invoice is for another amount (invalid_exact_lnbtc_invoice_amount_mismatch)"
    );
    assert_eq!(
        error.code(),
        Some("invalid_exact_lnbtc_invoice_amount_mismatch")
    );
    let error = check(&bench, &bench.call(), |value| {
        value["accepts"][0]["extra"]["invoice"] = "lnbc1".into();
    })
    .unwrap_err();
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn another_wallets_network_or_a_request_with_its_own_credential_is_not_paid() {
    let bench = strict();
    let call = bench.call();
    let claimed = challenge(&bench, &call, |_| ());
    let check = |call: &Call, network| {
        let conditions = ClientConditions::new(network, bench.now);
        call.with_request(|request| Payable::check(&claimed, request, &conditions))
            .map(drop)
            .map_err(|error| error.code())
    };
    assert_eq!(check(&call, Network::Bitcoin), Ok(()));
    assert_eq!(
        check(&call, Network::Regtest),
        Err(Some("unsupported_network"))
    );
    let own = call.with(&HeaderValue::from_static("e30="));
    assert_eq!(check(&own, Network::Bitcoin), Err(None));
}

#[test]
fn an_mcp_call_is_paid_only_under_its_own_profile_and_server() {
    let (mut bench, server) = (strict(), "https://api.example.com/mcp");
    let params = r#"{"name":"weather","arguments":{"city":"oslo"}}"#;
    let binding = RequestBinding::mcp(server, &[] as &[&str], params).unwrap();
    bench.terms.resource.description = None;
    let claimed = challenge(&bench, &bench.call(), |value| {
        let invoice = bench.invoice_for(*binding.hash().as_bytes());
        let extra = &mut value["accepts"][0]["extra"];
        extra["requestHash"] = binding.hash().to_string().into();
        extra["requestBindingProfile"] = "mcp:1".into();
        extra["requestBindingParams"] = serde_json::json!({"server": server, "metadata": []});
        extra["invoice"] = invoice.as_str().into();
    });
    let conditions = ClientConditions::new(Network::Bitcoin, bench.now);
    let check = |request: &ClientRequest<'_>| {
        Payable::check(&claimed, request, &conditions).map_err(|error| error.code())
    };
    let payable = check(&ClientRequest::Mcp { server, params }).unwrap();
    assert!(payable.credential(&PREIMAGE).is_some());
    let mismatch = Some("invalid_exact_lnbtc_request_mismatch");
    for (server, params) in [
        ("https://evil.example/mcp", params),
        (server, r#"{"name":"weather"}"#),
    ] {
        let request = ClientRequest::Mcp { server, params };
        assert_eq!(check(&request).unwrap_err(), mismatch);
    }
    let over_http = bench.call().with_request(|request| check(request));
    assert_eq!(over_http.unwrap_err(), mismatch);
}

#[test]
fn a_challenge_whose_credential_no_server_would_read_is_not_paid() {
    let bench = strict();
    let padded = |length: usize| {
        let call = bench.call();
        check(&bench, &call, |value| {
            value["resource"]["more"] = "a".repeat(length).into();
        })
    };
    let payable = padded(40 * 1024).unwrap();
    let (_, value) = payable.credential(&PREIMAGE).unwrap();
    assert!(decode_header(value.as_bytes()).is_some());
    assert_eq!(
        padded(48 * 1024 - 1024).unwrap_err().to_string(),
        "challenge refused: the credential would be longer than 64 KiB"
    );
}

#[test]
fn a_stored_payable_makes_the_same_credential() {
    let bench = strict();
    let payable = check(&bench, &bench.call(), |value| {
        value["extensions"] = serde_json::json!({"a": [1, -2, 1e40, 0.1, null, "é\n"]});
    })
    .unwrap();
    assert!(payable.credential(&Preimage::from_bytes([1; 32])).is_none());
    let again = Payable::from_json(&payable.to_json()).unwrap();
    let line = payable.credential(&PREIMAGE);
    assert!(
        line.as_ref().is_some_and(|(name, value)| {
            *name == payable.header_name() && value.is_sensitive()
        })
    );
    assert_eq!(again.credential(&PREIMAGE), line);
    assert_eq!(
        (again.amount(), again.expires_at()),
        (payable.amount(), payable.expires_at())
    );
}

#[test]
fn a_stored_payable_that_contradicts_its_invoice_is_refused() {
    let bench = strict();
    let text = check(&bench, &bench.call(), |_| ()).unwrap().to_json();
    let other: Invoice = bench.invoice_for([9; 32]);
    let own = text.split("\"invoice\":\"").nth(1).unwrap();
    let own = own.split('"').next().unwrap();
    for (bad, code) in [
        (String::new(), None),
        ("{}".into(), None),
        (text.replace(":2,", ":1,"), None),
        (text.replace("\"resource\"", "\"accepted\""), None),
        (
            text.replace("\"amount\":\"21000\"", "\"amount\":\"1\""),
            Some("invalid_exact_lnbtc_invoice_amount_mismatch"),
        ),
        (
            text.replace("bolt11\"", "bolt12\""),
            Some("invalid_exact_lnbtc_asset_transfer_method"),
        ),
        (
            text.replace(own, other.as_str()),
            Some("invalid_exact_lnbtc_invoice_request_mismatch"),
        ),
        (
            text.replace(own, "lnbc1"),
            Some("invalid_exact_lnbtc_invoice_decode_failed"),
        ),
    ] {
        assert_eq!(Payable::from_json(&bad).unwrap_err().code(), code, "{bad}");
    }
}

/// Any JSON that a server may put beside what is checked.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"é]{0,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_server_adds_is_sent_back_alike_after_a_restart(more in json()) {
        let bench = strict();
        let payable = check(&bench, &bench.call(), |value| {
            value["extensions"] = more.clone();
            value["accepts"][0]["extra"]["more"] = more;
        }).unwrap();
        let again = Payable::from_json(&payable.to_json()).unwrap();
        prop_assert_eq!(again.to_json(), payable.to_json());
        prop_assert_eq!(again.credential(&PREIMAGE), payable.credential(&PREIMAGE));
    }

    #[test]
    fn a_changed_stored_payable_is_refused_or_still_of_its_invoice(at: prop::sample::Index, byte: u8) {
        let bench = strict();
        let payable = check(&bench, &bench.call(), |_| ()).unwrap();
        let mut text = payable.to_json().into_bytes();
        let at = at.index(text.len());
        text[at] = byte & 0x7f;
        if let Ok(again) = Payable::from_json(&String::from_utf8(text).unwrap()) {
            prop_assert_eq!(again.invoice(), payable.invoice());
            prop_assert_eq!(again.amount(), payable.amount());
        }
    }
}
