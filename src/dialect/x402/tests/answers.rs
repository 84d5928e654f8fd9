//! What is offered, refused and confirmed in the headers of an answer.

use http::{Method, StatusCode};

use super::*;
use crate::payment::{Amount, Network, ResolvedClient};

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
        let view = RequestView {
            target,
            ..bench.view(&call)
        };
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
        let asked = Asked {
            view: &view,
            terms: &bench.terms,
            amount,
            invoice: &invoice,
            committed: Some(&committed),
            refused: None,
            brief: false,
        };
        X402.challenge(&asked).is_ok()
    };
    assert!(asked(&bench, AMOUNT));
    let view = bench.view(&call);
    for committed in [None, Some(&[0; 32])] {
        let asked = Asked {
            view: &view,
            terms: &bench.terms,
            amount: AMOUNT,
            invoice: &invoice,
            committed,
            refused: None,
            brief: false,
        };
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
    let response = Receipt::from_json(&text).unwrap();
    assert_eq!(name, "payment-response");
    assert_eq!(
        (response.is_success(), response.error_reason()),
        (false, Some("duplicate_settlement"))
    );
    assert_eq!(
        (response.transaction(), response.network()),
        ("", Network::Bitcoin.caip2())
    );
    let call = bench.call();
    let (view, invoice, committed) = (
        bench.view(&call),
        bench.invoice(&call),
        Some(&bench.committed(&call).hash),
    );
    let asked = Asked {
        view: &view,
        terms: &bench.terms,
        amount: AMOUNT,
        invoice: &invoice,
        committed,
        refused: Some(&refusal),
        brief: false,
    };
    let lines = X402.challenge(&asked).unwrap();
    let text = decode_header(lines[0].value.as_bytes()).unwrap();
    let challenge = Challenge::in_json(&text).remove(0);
    assert_eq!(
        (challenge.error(), challenge.url()),
        (
            Some("duplicate_settlement"),
            Some("https://api.example.com/weather/oslo?days=3")
        )
    );
}

#[test]
fn a_receipt_is_sent_on_any_status() {
    let bench = strict();
    let proof = bench.prove(&paid(&bench)).unwrap();
    let target = http::uri::PathAndQuery::from_static("/");
    let receipt = PaymentReceipt::new(
        proof,
        (Method::GET, "https://a".into(), target),
        ResolvedClient::UNKNOWN,
        bench.now,
        Some(0),
    );
    let (name, value) = X402
        .receipt(&receipt, StatusCode::SERVICE_UNAVAILABLE, bench.now)
        .unwrap();
    let text = decode_header(value.as_bytes()).unwrap();
    assert_eq!(name, "payment-response");
    let settled = Receipt::settled(Network::Bitcoin, PREIMAGE.payment_hash());
    assert_eq!(Receipt::from_json(&text), Some(settled));
}
