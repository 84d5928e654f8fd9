//! What a client checks before it pays, and what it stores.

use super::{
    super::{Challenge, Identifier, Payable},
    challenges::{invoice, invoice_of},
    *,
};
use proptest::prelude::*;

use crate::{
    dialect::client::{ClientConditions, ClientRequest},
    payment::Invoice,
};

/// The invoice without an amount of BOLT 11, "Examples".
const OPEN: &str = "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql";

/// A challenge of this server.
fn challenge(invoice: &Invoice) -> Challenge {
    let identifier = Identifier::new(invoice.payment_hash(), [7; 32]);
    let macaroon = Macaroon::mint([1; 32], identifier.to_bytes(), ["method=GET"]).unwrap();
    Challenge::new(Scheme::L402, &macaroon, invoice)
}

fn check(challenge: &Challenge, headers: &HeaderMap) -> Result<Payable, String> {
    let request = ClientRequest::Http {
        method: "GET",
        url: "https://api.example.com/weather",
        headers,
        body_hash: [0; 32],
    };
    let conditions = ClientConditions::new(Network::Regtest, END);
    Payable::check(challenge, &request, &conditions).map_err(|error| error.to_string())
}

#[test]
fn a_token_for_another_payment_is_not_paid() {
    let none = HeaderMap::new();
    let (ours, other) = (invoice(), invoice_of(PaymentHash::from_bytes([1; 32])));
    assert!(check(&challenge(&ours), &none).is_ok());
    let identifier = Identifier::new(other.payment_hash(), [7; 32]).to_bytes();
    for (identifier, is_paid) in [
        (&identifier[..], false),
        // Another version, another length: what it says is not known.
        (&[&[0, 1], &identifier[2..]].concat(), true),
        (b"whatever", true),
    ] {
        let macaroon = Macaroon::mint([1; 32], identifier, [""; 0]).unwrap();
        let challenge = Challenge::new(Scheme::L402, &macaroon, &ours);
        assert_eq!(check(&challenge, &none).is_ok(), is_paid, "{identifier:?}");
    }
    let opaque = Challenge::read("L402", "no-macaroon", ours.as_str()).unwrap();
    assert!(check(&opaque, &none).is_ok());
}

#[test]
fn an_invoice_that_cannot_be_paid_as_asked_is_not_paid() {
    let (invoice, none) = (invoice(), HeaderMap::new());
    let challenge = challenge(&invoice);
    let request = ClientRequest::Http {
        method: "GET",
        url: "https://api.example.com/weather",
        headers: &none,
        body_hash: [0; 32],
    };
    let check = |network, now| {
        Payable::check(&challenge, &request, &ClientConditions::new(network, now))
            .map(|payable| payable.amount())
            .map_err(|error| error.to_string())
    };
    let refused = |text: &str| Err(format!("challenge refused: {text}"));
    assert_eq!(check(Network::Regtest, END), Ok(AMOUNT));
    assert_eq!(
        check(Network::Bitcoin, END),
        refused("the invoice is for another network than the wallet's")
    );
    assert_eq!(
        check(Network::Regtest, invoice.expires_at()),
        refused("it has expired")
    );
    let read = |invoice: &str| Challenge::read("L402", "AgE", invoice).unwrap();
    assert_eq!(
        self::check(&read("lnbcrt1"), &none).map(|payable| payable.amount()),
        refused("the invoice cannot be read")
    );
    assert_eq!(
        self::check(&read(OPEN), &none).map(|payable| payable.amount()),
        refused("the invoice leaves the amount to the payer")
    );
}

#[test]
fn a_request_that_cannot_carry_the_credential_is_not_paid() {
    let challenge = challenge(&invoice());
    let bearer = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer x"))]);
    assert!(
        check(&challenge, &bearer)
            .unwrap_err()
            .contains("already has the header")
    );
    let call = ClientRequest::Mcp {
        server: "https://api.example.com/mcp",
        params: "{}",
    };
    let conditions = ClientConditions::new(Network::Regtest, END);
    assert!(Payable::check(&challenge, &call, &conditions).is_err());
}

#[test]
fn a_stored_payable_makes_the_same_credential() {
    let challenge = challenge(&invoice()).with_scheme(Scheme::Lsat);
    let payable = check(&challenge, &HeaderMap::new()).unwrap();
    assert!(!format!("{payable:?}").contains(challenge.token()));
    assert!(payable.credential(&Preimage::from_bytes([1; 32])).is_none());
    let line = payable.credential(&preimage());
    assert!(
        line.as_ref().is_some_and(|(name, value)| {
            *name == payable.header_name() && value.is_sensitive()
        })
    );
    let text = payable.to_json();
    let again = Payable::from_json(&text).unwrap();
    assert_eq!(again.credential(&preimage()), line);
    assert_eq!(
        (again.amount(), again.expires_at()),
        (payable.amount(), payable.expires_at())
    );
    let other = invoice_of(PaymentHash::from_bytes([1; 32]));
    for bad in [
        "",
        "{}",
        &text[1..],
        &text.replace("LSAT", "Bearer"),
        &text.replace(challenge.token(), "a:b"),
        &text.replace(challenge.invoice(), other.as_str()),
        &text.replace("\"token\"", "\"scheme\""),
    ] {
        assert!(Payable::from_json(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_changed_stored_payable_is_refused_or_still_of_its_invoice(at: prop::sample::Index, byte: u8) {
        let payable = check(&challenge(&invoice()), &HeaderMap::new()).unwrap();
        let mut text = payable.to_json().into_bytes();
        let at = at.index(text.len());
        text[at] = byte & 0x7f;
        if let Ok(again) = Payable::from_json(&String::from_utf8(text).unwrap()) {
            prop_assert_eq!(again.invoice(), payable.invoice());
        }
    }
}
