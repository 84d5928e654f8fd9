//! What reads as a challenge reads the same again after it was written out, and no check of it
//! panics.
#![no_main]

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use tower_x402::{
    clock::Timestamp,
    internals::codec::{base64, json},
    x402::{Challenge, Conditions, Intent, PaymentRequired, decode_header},
};

fuzz_target!(|text: &str| {
    let header = base64::encode_standard(text);
    if header.len() <= 64 * 1024 {
        assert_eq!(decode_header(header.as_bytes()).as_deref(), Some(text));
    }
    let Some(required) = PaymentRequired::from_json(text) else {
        return;
    };
    let again = serde_json::to_string(&json::parse(text).expect("it was read")).expect("JSON");
    let again = PaymentRequired::from_json(&again).expect("it was read");
    assert_eq!(
        (again.url(), again.error(), again.accepts().len()),
        (required.url(), required.error(), required.accepts().len())
    );
    let headers = HeaderMap::new();
    let intent = Intent::Http {
        method: "GET",
        url: "https://api.example.com/article/A",
        headers: &headers,
        body_hash: [0; 32],
    };
    for index in 0..required.accepts().len() {
        let checked = Challenge::check(
            &required,
            index,
            &intent,
            &Conditions::at(Timestamp::from_unix_seconds(1_700_000_000)),
        );
        if let Ok(challenge) = checked {
            assert_eq!(challenge.invoice().amount(), Some(challenge.amount()));
        }
    }
});
