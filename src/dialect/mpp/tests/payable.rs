use crate::{
    codec::base64,
    dialect::mpp::{Challenge, ChargeRequest, Payable, bench::Bench, credential::HEADER, wire},
    payment::{Network, PaymentHash, Preimage},
};

/// The server's own challenge with one thing changed, as the client checks it.
fn check(change: impl FnOnce(&mut Challenge<'_>)) -> Result<(), String> {
    let bench = Bench::new().unwrap();
    let line = bench.challenge().unwrap();
    let mut challenge = Challenge::parse_line(line.as_bytes()).remove(0);
    change(&mut challenge);
    Payable::check(challenge, bench.body_hash.as_ref(), bench.now)
        .map(drop)
        .map_err(|error| {
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

fn refused(reason: &str) -> Result<(), String> {
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
        refused("an invoice for another amount")
    );
    for amount in ["0", "-1", "1.5", "0100", "18446744073709551615"] {
        assert_eq!(
            check_request(|request| request.amount = amount.into()),
            refused("an amount that is no positive integer")
        );
    }
    assert_eq!(
        check_request(|request| request.currency = "usd".into()),
        refused("a currency other than sat")
    );
    for network in [
        None,
        Some("mainnet".into()),
        Some("signet".into()),
        Some("testnet".into()),
    ] {
        assert_eq!(
            check_request(|request| request.method_details.network = network),
            refused("an invoice on another network")
        );
    }
    let other = PaymentHash::from_bytes([1; 32]).to_string();
    let change =
        |request: &mut ChargeRequest<'_>| request.method_details.payment_hash = Some(other.into());
    assert_eq!(
        check_request(change),
        refused("an invoice for another payment hash")
    );
    let change =
        |request: &mut ChargeRequest<'_>| request.method_details.invoice = "lnbcrt1".into();
    assert_eq!(
        check_request(change),
        refused("an invoice that cannot be read")
    );
}

#[test]
fn what_cannot_be_read_or_is_for_others_is_not_paid() {
    let other = "neither method lightning nor intent charge";
    assert_eq!(
        check(|challenge| challenge.method = "tempo".into()),
        refused(other)
    );
    assert_eq!(
        check(|challenge| challenge.intent = "session".into()),
        refused(other)
    );
    assert_eq!(
        check(|challenge| challenge.header = Some("Cookie".into())),
        refused("an unknown credential header")
    );
    for request in ["e30", "!", "Q0hBUkdF", ""] {
        assert_eq!(
            check(|challenge| challenge.request = request.into()),
            refused("a request that cannot be read")
        );
    }
    assert_eq!(
        check(|challenge| challenge.expires = Some("soon".into())),
        refused("an expiry that cannot be read")
    );
    let digest = wire::digest_text(&[1; 32]);
    assert_eq!(
        check(|challenge| challenge.digest = Some(digest.into())),
        refused("a digest of another body")
    );
    assert_eq!(
        check(|challenge| challenge.digest = Some("md5=x".into())),
        refused("a digest of another body")
    );
}

#[test]
fn the_earlier_end_counts() {
    assert_eq!(
        check(|challenge| challenge.expires = Some("2027-01-15T08:00:00Z".into())),
        refused("its time is over")
    );
    let mut bench = Bench::new().unwrap();
    let line = bench.challenge().unwrap();
    let mut challenge = Challenge::parse_line(line.as_bytes()).remove(0);
    challenge.expires = Some("2100-01-01T00:00:00Z".into());
    let payable = Payable::check(challenge.clone(), None, bench.now).unwrap();
    assert_eq!(payable.expires_at(), bench.invoice.expires_at());
    bench.now = bench.invoice.expires_at();
    assert_eq!(
        Payable::check(challenge, None, bench.now)
            .unwrap_err()
            .to_string(),
        "challenge refused: its time is over"
    );
}

#[test]
fn only_the_payments_preimage_makes_a_credential() {
    let mut bench = Bench::new().unwrap();
    bench.terms.authorization_taken = true;
    let line = bench.challenge().unwrap();
    let payable = Payable::check(
        Challenge::parse_line(line.as_bytes()).remove(0),
        None,
        bench.now,
    )
    .unwrap();
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
