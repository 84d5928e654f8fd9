use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::{
    codec::base64,
    dialect::{
        bound::EMPTY_BODY,
        client::{ClientConditions, ClientRequest},
        mpp::{ChargeRequest, Payable, credential::HEADER},
    },
    payment::{Network, Preimage},
};

/// The server's own challenge with one thing changed, as the client checks it.
fn check(change: impl FnOnce(&mut Challenge<'_>)) -> Result<(), String> {
    let bench = Bench::new().unwrap();
    let line = bench.challenge().unwrap();
    let mut challenge = Challenge::parse_line(line.as_bytes()).remove(0);
    change(&mut challenge);
    bench.check(&challenge).map(drop).map_err(|error| {
        let text = error.to_string();
        text.trim_start_matches("challenge refused: ").to_owned()
    })
}

/// The same with one thing changed in the request.
fn check_request(change: impl FnOnce(&mut ChargeRequest<'_>)) -> Result<(), String> {
    check(|challenge| {
        let json = base64::decode_url(&*challenge.request).unwrap();
        let mut request: ChargeRequest<'_> = wire::from_json(&json).unwrap();
        change(&mut request);
        challenge.request = wire::encode(&request).unwrap().into();
    })
}

fn refused_as(reason: &str) -> Result<(), String> {
    Err(reason.to_owned())
}

#[test]
fn what_a_server_issues_is_payable() {
    assert_eq!(check(|_| ()), Ok(()));
    assert_eq!(check(|challenge| challenge.expires = None), Ok(()));
    assert_eq!(
        check(|challenge| challenge.header = Some(HEADER.into())),
        Ok(())
    );
    assert_eq!(
        check_request(|request| request.method_details.payment_hash = None),
        Ok(())
    );
}

#[test]
fn a_request_that_contradicts_its_invoice_is_not_paid() {
    assert_eq!(
        check_request(|request| request.amount = "99".into()),
        refused_as("the invoice is for another amount")
    );
    for amount in ["0", "-1", "1.5", "0100", "18446744073709551615"] {
        assert_eq!(
            check_request(|request| request.amount = amount.into()),
            refused_as("the amount is no positive integer")
        );
    }
    assert_eq!(
        check_request(|request| request.currency = "usd".into()),
        refused_as("the currency is not sat")
    );
    for network in [
        None,
        Some("mainnet".into()),
        Some("signet".into()),
        Some("testnet".into()),
    ] {
        assert_eq!(
            check_request(|request| request.method_details.network = network),
            refused_as("the invoice is for another network")
        );
    }
    let other = PaymentHash::from_bytes([1; 32]).to_string();
    let change =
        |request: &mut ChargeRequest<'_>| request.method_details.payment_hash = Some(other.into());
    assert_eq!(
        check_request(change),
        refused_as("the invoice is for another payment hash")
    );
    let change =
        |request: &mut ChargeRequest<'_>| request.method_details.invoice = "lnbcrt1".into();
    assert_eq!(
        check_request(change),
        refused_as("the invoice cannot be read")
    );
}

#[test]
fn what_cannot_be_read_or_is_for_others_is_not_paid() {
    let other = "the method is not lightning, or the intent not charge";
    assert_eq!(
        check(|challenge| challenge.method = "tempo".into()),
        refused_as(other)
    );
    assert_eq!(
        check(|challenge| challenge.intent = "session".into()),
        refused_as(other)
    );
    assert_eq!(
        check(|challenge| challenge.header = Some("Cookie".into())),
        refused_as("the credential's header is not Payment-Authorization")
    );
    for request in ["e30", "!", "Q0hBUkdF", ""] {
        assert_eq!(
            check(|challenge| challenge.request = request.into()),
            refused_as("the request cannot be read")
        );
    }
    assert_eq!(
        check(|challenge| challenge.expires = Some("soon".into())),
        refused_as("the expiry cannot be read")
    );
    let digest = wire::digest_text(&[1; 32]);
    assert_eq!(
        check(|challenge| challenge.digest = Some(digest.into())),
        refused_as("the digest is of another body")
    );
    assert_eq!(
        check(|challenge| challenge.digest = Some("md5=x".into())),
        refused_as("the digest is of another body")
    );
}

#[test]
fn the_earlier_end_counts() {
    assert_eq!(
        check(|challenge| challenge.expires = Some("2027-01-15T08:00:00Z".into())),
        refused_as("it has expired")
    );
    let mut bench = Bench::new().unwrap();
    let line = bench.challenge().unwrap();
    let mut challenge = Challenge::parse_line(line.as_bytes()).remove(0);
    challenge.expires = Some("2100-01-01T00:00:00Z".into());
    let payable = bench.check(&challenge).unwrap();
    assert_eq!(payable.expires_at(), bench.invoice.expires_at());
    bench.now = bench.invoice.expires_at();
    assert_eq!(
        bench.check(&challenge).unwrap_err().to_string(),
        "challenge refused: it has expired"
    );
}

#[test]
fn only_the_payments_preimage_makes_a_credential() {
    let mut bench = Bench::new().unwrap();
    bench.terms.authorization_taken = true;
    let line = bench.challenge().unwrap();
    let challenge = Challenge::parse_line(line.as_bytes()).remove(0);
    let payable = bench.check(&challenge).unwrap();
    assert_eq!(
        (payable.amount(), payable.invoice()),
        (bench.amount, &bench.invoice)
    );
    assert_eq!(payable.invoice().network(), Network::Regtest);
    assert!(payable.credential(&Preimage::from_bytes([1; 32])).is_none());
    let (name, value) = payable.credential(&bench.preimage).unwrap();
    assert_eq!(name, "payment-authorization");
    assert!(value.is_sensitive());
}

#[test]
fn another_wallets_network_or_a_request_that_cannot_carry_the_credential_is_not_paid() {
    let mut bench = Bench::new().unwrap();
    let check = |bench: &Bench, network, headers: &HeaderMap| {
        let line = bench.challenge().unwrap();
        let request = ClientRequest::Http {
            method: "GET",
            url: "https://api.example.com/weather?city=oslo",
            headers,
            body_hash: EMPTY_BODY,
        };
        let challenge = &Challenge::parse_line(line.as_bytes())[0];
        let conditions = ClientConditions::new(network, bench.now);
        Payable::check(challenge, &request, &conditions).is_ok()
    };
    let none = HeaderMap::new();
    assert!(check(&bench, Network::Regtest, &none));
    assert!(!check(&bench, Network::Bitcoin, &none));
    let bearer = HeaderValue::from_static("Bearer x");
    let bearer = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    assert!(!check(&bench, Network::Regtest, &bearer));
    bench.terms.authorization_taken = true;
    assert!(check(&bench, Network::Regtest, &bearer));
    let line = bench.challenge().unwrap();
    let call = ClientRequest::Mcp {
        server: "https://api.example.com/mcp",
        params: "{}",
    };
    let conditions = ClientConditions::new(Network::Regtest, bench.now);
    let challenge = &Challenge::parse_line(line.as_bytes())[0];
    assert!(Payable::check(challenge, &call, &conditions).is_err());
}

#[test]
fn a_challenge_whose_credential_no_server_would_read_is_not_paid() {
    let opaque =
        |length: usize| check(|challenge| challenge.opaque = Some("a".repeat(length).into()));
    assert_eq!(opaque(30 * 1024), Ok(()));
    assert_eq!(
        opaque(64 * 1024),
        refused_as("the credential would be longer than 64 KiB")
    );
}

#[test]
fn a_stored_payable_makes_the_same_credential() {
    for taken in [false, true] {
        let mut bench = Bench::new().unwrap();
        bench.terms.authorization_taken = taken;
        let line = bench.challenge().unwrap();
        let payable = bench
            .check(&Challenge::parse_line(line.as_bytes())[0])
            .unwrap();
        let again = Payable::from_json(&payable.to_json()).unwrap();
        assert_eq!(
            again.credential(&bench.preimage),
            payable.credential(&bench.preimage)
        );
        assert_eq!(
            (again.amount(), again.expires_at(), again.header_name()),
            (
                payable.amount(),
                payable.expires_at(),
                payable.header_name()
            )
        );
        let text = payable.to_json();
        for bad in [
            "",
            "{}",
            &text[1..],
            &text.replace("lightning", "tempo"),
            &text.replacen("\"id\"", "\"request\"", 1),
        ] {
            assert!(Payable::from_json(bad).is_err(), "{bad}");
        }
    }
}

proptest! {
    #[test]
    fn a_changed_stored_payable_is_refused_or_still_of_its_invoice(at: prop::sample::Index, byte: u8) {
        let bench = Bench::new().unwrap();
        let line = bench.challenge().unwrap();
        let payable = bench.check(&Challenge::parse_line(line.as_bytes())[0]).unwrap();
        let mut text = payable.to_json().into_bytes();
        let at = at.index(text.len());
        text[at] = byte & 0x7f;
        if let Ok(again) = Payable::from_json(&String::from_utf8(text).unwrap()) {
            prop_assert_eq!(again.invoice(), payable.invoice());
            prop_assert_eq!(again.amount(), payable.amount());
        }
    }
}
