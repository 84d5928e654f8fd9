use http::{HeaderValue, Method};

use super::*;
use crate::{
    codec::{jcs, json},
    dialect::{Rank, mpp::wire::from_json},
    payment::{Network, ResolvedClient},
};

fn rank(accept: &'static str) -> Rank {
    let mut bench = Bench::new().unwrap();
    bench
        .head
        .headers
        .insert(ACCEPT_PAYMENT, HeaderValue::from_static(accept));
    bench.line().unwrap().rank
}

#[test]
fn accept_payment_decides_the_rank_and_never_the_offer() {
    assert_eq!(Bench::new().unwrap().line().unwrap().rank, Rank::Payment);
    for preferred in [
        "lightning/charge",
        "*/*;q=0.001",
        "tempo/charge, lightning/*;q=0.2",
    ] {
        assert_eq!(rank(preferred), Rank::PaymentPreferred, "{preferred}");
    }
    for normal in [
        "tempo/charge",
        "lightning/charge;q=0",
        "lightning/session",
        "nonsense",
        "lightning/charge;q=9",
    ] {
        assert_eq!(rank(normal), Rank::Payment, "{normal}");
    }
}

#[test]
fn a_challenge_says_what_its_invoice_says() {
    let bench = Bench::new().unwrap();
    let line = bench.challenge().unwrap();
    assert_eq!(line.to_str().unwrap().split(' ').next(), Some("Payment"));
    let challenge = Challenge::parse_line(line.as_bytes()).remove(0);
    assert_eq!(
        (&*challenge.realm, &*challenge.method, &*challenge.intent),
        ("api.example.com", "lightning", "charge")
    );
    assert_eq!(challenge.expires.as_deref(), Some("2027-01-15T08:05:00Z"));
    assert_eq!(
        (challenge.digest, challenge.header, challenge.description),
        (None, None, None)
    );
    let json = crate::codec::base64::decode_url(&*challenge.request).unwrap();
    let request: ChargeRequest<'_> = from_json(&json).unwrap();
    assert_eq!(
        (&*request.amount, &*request.currency, request.description),
        ("100", "sat", None)
    );
    assert_eq!(request.method_details.invoice, bench.invoice.as_str());
    assert_eq!(request.method_details.network.as_deref(), Some("regtest"));
    assert_eq!(
        request.method_details.payment_hash,
        Some(bench.invoice.payment_hash().to_string().into())
    );
    for json in [
        &json,
        &crate::codec::base64::decode_url(&*challenge.opaque.unwrap()).unwrap(),
    ] {
        let text = std::str::from_utf8(json).unwrap();
        assert_eq!(
            jcs::canonical(&json::parse(text).unwrap()).as_deref(),
            Some(text)
        );
    }
}

#[test]
fn a_body_is_bound_by_its_digest_and_an_empty_one_by_none() {
    let mut bench = Bench::new().unwrap();
    bench.head.method = Method::POST;
    bench.body_hash = Some([0; 32]);
    let line = bench.challenge().unwrap();
    let digest = Challenge::parse_line(line.as_bytes()).remove(0).digest;
    assert_eq!(
        digest.as_deref(),
        Some("sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:")
    );
    bench.body_hash = None;
    assert!(
        bench.challenge().is_none(),
        "nothing is sold for a body that is not known"
    );
    bench.terms.streams_body = true;
    assert!(
        bench
            .challenge()
            .is_some_and(|line| !line.to_str().unwrap().contains("digest"))
    );
}

#[test]
fn only_plain_descriptions_are_sent() {
    let mut bench = Bench::new().unwrap();
    let mut sent = |text: &str| {
        bench.terms.resource.description = Some(text.to_owned());
        let line = bench.challenge().unwrap();
        Challenge::parse_line(line.as_bytes())
            .remove(0)
            .description
            .map(|text| text.into_owned())
    };
    for plain in ["Weather, hourly", "a"] {
        assert_eq!(sent(plain).as_deref(), Some(plain));
    }
    for other in [
        "",
        "caf\u{e9}",
        "say \"hi\"",
        "a\\b",
        "a\tb",
        "a\nb",
        &"x".repeat(513),
    ] {
        assert_eq!(sent(other), None, "{other:?}");
    }
}

#[test]
fn only_whole_satoshis_once_and_networks_with_a_name_are_offered() {
    let mut terms = Bench::new().unwrap().terms;
    let offers = |terms: &Terms, msat| Mpp.offers(terms, Some(Amount::from_msat(msat)));
    assert!(Mpp.offers(&terms, None) && offers(&terms, 1000));
    assert!(!offers(&terms, 1001) && !offers(&terms, 999) && !offers(&terms, 0));
    for (network, offered) in [
        (Network::Bitcoin, true),
        (Network::Signet, true),
        (Network::Testnet, false),
    ] {
        terms.network = network;
        assert_eq!(Mpp.offers(&terms, None), offered, "{network}");
    }
    terms.network = Network::Regtest;
    for access in [
        Access::Uses(2.try_into().unwrap()),
        Access::ForDuration(std::time::Duration::from_secs(1)),
    ] {
        terms.access = access;
        assert!(!Mpp.offers(&terms, None));
    }
}

#[test]
fn an_invoice_for_something_else_is_never_challenged_with() {
    let mut bench = Bench::new().unwrap();
    bench.amount = Amount::from_sat(99);
    assert!(bench.challenge().is_none());
    bench.amount = Amount::from_sat(100);
    bench.terms.network = Network::Bitcoin;
    assert!(bench.challenge().is_none());
    bench.terms.network = Network::Regtest;
    for origin in ["https://a|b", "https://a\"b", "https://", "https://\u{e9}"] {
        bench.origin = origin;
        assert!(bench.challenge().is_none(), "{origin}");
    }
}

#[test]
fn only_a_success_paid_in_this_dialect_gets_a_receipt() {
    let bench = Bench::new().unwrap();
    let asked = || {
        (
            Method::GET,
            "https://api.example.com".into(),
            "/".parse().unwrap(),
        )
    };
    let proof = bench.proof().unwrap();
    let receipt = PaymentReceipt::new(
        proof.clone(),
        asked(),
        ResolvedClient::UNKNOWN,
        bench.now,
        Some(0),
    );
    for status in [200, 204] {
        let (name, value) = Mpp
            .receipt(&receipt, StatusCode::from_u16(status).unwrap(), bench.now)
            .unwrap();
        let parsed = Receipt::parse(value.as_bytes()).unwrap();
        assert_eq!(name, "payment-receipt");
        assert_eq!(parsed.challenge_id.as_deref(), proof.note.as_deref());
        assert_eq!(
            (parsed.method.as_str(), parsed.status.as_str()),
            ("lightning", "success")
        );
        assert_eq!(parsed.reference, bench.preimage.payment_hash().to_string());
        assert_eq!(parsed.timestamp, "2027-01-15T08:00:00Z");
    }
    for status in [301, 402, 404, 500] {
        assert!(
            Mpp.receipt(&receipt, StatusCode::from_u16(status).unwrap(), bench.now)
                .is_none()
        );
    }
    let other = PaymentReceipt::new(
        Proof {
            dialect: DialectName::L402,
            ..proof
        },
        asked(),
        ResolvedClient::UNKNOWN,
        bench.now,
        Some(0),
    );
    assert!(Mpp.receipt(&other, StatusCode::OK, bench.now).is_none());
}

#[test]
fn only_payment_credentials_are_stripped() {
    let mut bench = Bench::new().unwrap();
    let payment = bench.head.headers[AUTHORIZATION].clone();
    let both = || -> HeaderMap {
        let line = |name: HeaderName, value: &HeaderValue| (name, value.clone());
        let bearer = HeaderValue::from_static("Bearer x");
        [
            line(AUTHORIZATION, &bearer),
            line(AUTHORIZATION, &payment),
            line(PAYMENT_AUTHORIZATION, &payment),
        ]
        .into_iter()
        .collect()
    };
    let mut headers = both();
    Mpp.strip(&mut headers, &bench.terms);
    assert_eq!(
        headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(),
        ["Bearer x"]
    );
    assert!(!headers.contains_key(PAYMENT_AUTHORIZATION));
    bench.terms.authorization_taken = true;
    let mut headers = both();
    Mpp.strip(&mut headers, &bench.terms);
    assert_eq!(
        headers.get_all(AUTHORIZATION).iter().count(),
        2,
        "another's header"
    );
    assert!(!headers.contains_key(PAYMENT_AUTHORIZATION));
}
