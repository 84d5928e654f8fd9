//! How released clients read the `Payment` lines of a 402: each finds its challenge in ours.

use http::{StatusCode, header};
use tower_x402::{
    internals::codec::{jcs, json},
    mpp,
};

use crate::{
    customer::Call,
    readers::{joined, lines, paid, service},
    shop::{Shop, ask},
};

type Splitter = fn(&[String]) -> Vec<String>;

/// `Payment` challenges of the joined value, cut where the scheme follows a comma outside of
/// quotes.
fn cut_at_the_scheme(lines: &[String]) -> Vec<String> {
    let (mut found, mut quoted, value) = (Vec::<String>::new(), false, joined(lines));
    let mut open = false;
    for (at, character) in value.char_indices() {
        quoted ^= character == '"';
        let begins = |scheme: &str| {
            !quoted && value[at..].starts_with(scheme) && (at == 0 || value[..at].ends_with(", "))
        };
        if begins("Payment ") {
            found.push(String::new());
            open = true;
        } else if begins("L402 ") || begins("LSAT ") {
            open = false;
        }
        found
            .last_mut()
            .filter(|_| open)
            .into_iter()
            .for_each(|text| text.push(character));
    }
    found
        .into_iter()
        .map(|text| text.trim_end_matches(", ").to_owned())
        .collect()
}

/// Lines that begin with the scheme.
fn lines_of_the_scheme(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .filter(|line| line.starts_with("Payment "))
        .cloned()
        .collect()
}

/// The first of them, whatever its method and intent.
fn first_line_of_the_scheme(lines: &[String]) -> Vec<String> {
    lines_of_the_scheme(lines).into_iter().take(1).collect()
}

/// The first line, which must be of the scheme: only for who sends `Accept-Payment`.
fn the_first_line(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .take(1)
        .filter(|line| line.starts_with("Payment "))
        .cloned()
        .collect()
}

const ASKING: &str = "lightning/charge";

/// Each with what it sends as `Accept-Payment`.
const PAYMENT_READERS: [(&str, Option<&str>, Splitter); 6] = [
    (
        "mppx, mpp-rs: the joined value, cut at the scheme",
        None,
        cut_at_the_scheme,
    ),
    ("the same, asking", Some(ASKING), cut_at_the_scheme),
    ("pympp: lines of the scheme", None, lines_of_the_scheme),
    ("the same, asking", Some(ASKING), lines_of_the_scheme),
    (
        "lnget: the first line of the scheme",
        None,
        first_line_of_the_scheme,
    ),
    (
        "mppx validate behind what asks for it: the first line",
        Some(ASKING),
        the_first_line,
    ),
];

#[tokio::test]
async fn every_habit_of_reading_payment_finds_one_charge_that_is_served_once_paid() {
    let shop = Shop::new();
    let app = service(&shop);
    for (habit, accepts, read) in PAYMENT_READERS {
        let plain = Call::new("GET", "/weather");
        let call = accepts.into_iter().fold(plain, |call, accepts| {
            call.header("accept-payment", accepts)
        });
        let answer = ask(&app, call.request()).await;
        let found = read(&lines(&answer));
        assert_eq!(found.len(), 1, "{habit}");
        let challenge = mpp::Challenge::parse_line(found[0].as_bytes()).remove(0);
        assert_eq!(
            (&*challenge.method, &*challenge.intent, &challenge.header),
            ("lightning", "charge", &None)
        );
        assert_eq!(
            challenge.description.as_deref(),
            Some("weather, Payment included")
        );
        assert!(challenge.expires.is_some());
        // Some clients write the request anew before they echo it: canonical JSON survives that.
        let request =
            tower_x402::internals::codec::base64::decode_url(&*challenge.request).unwrap();
        let request = String::from_utf8(request).unwrap();
        assert_eq!(
            jcs::canonical(&json::parse(&request).unwrap()).unwrap(),
            request
        );
        let preimage = paid(&shop, &answer);
        let credential = mpp::Credential::new(challenge.clone(), &preimage)
            .to_header_value()
            .unwrap();
        let paid = call.with(&(header::AUTHORIZATION, credential));
        assert_eq!(
            ask(&app, paid.request()).await.status(),
            StatusCode::OK,
            "{habit}"
        );
    }
}
