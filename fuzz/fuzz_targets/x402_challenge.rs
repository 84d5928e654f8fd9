//! A parsed challenge is the same after it was written and parsed again, and none of its checks
//! panics.
#![no_main]

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use tower_x402::{
    ClientConditions, ClientRequest, Network,
    clock::Timestamp,
    internals::codec::{base64, json},
    x402::{Challenge, Payable, decode_header},
};

fuzz_target!(|text: &str| {
    let header = base64::encode_standard(text);
    if header.len() <= 64 * 1024 {
        assert_eq!(decode_header(header.as_bytes()).as_deref(), Some(text));
    }
    let _ = Payable::from_json(text);
    let challenges = Challenge::in_json(text);
    if challenges.is_empty() {
        return;
    }
    let again = serde_json::to_string(&json::parse(text).expect("it was read")).expect("JSON");
    let again = Challenge::in_json(&again);
    // What was escaped less is longer now.
    if !again.is_empty() {
        assert_eq!(
            (again[0].url(), again[0].error(), again.len()),
            (challenges[0].url(), challenges[0].error(), challenges.len())
        );
    }
    let request = ClientRequest::Http {
        method: "GET",
        url: "https://api.example.com/article/A",
        headers: &HeaderMap::new(),
        body_hash: [0; 32],
    };
    let now = Timestamp::from_unix_seconds(1_700_000_000);
    let conditions = ClientConditions::new(Network::Bitcoin, now);
    for challenge in challenges {
        if let Ok(payable) = Payable::check(&challenge, &request, &conditions) {
            assert_eq!(payable.invoice().amount(), Some(payable.amount()));
            let again = Payable::from_json(&payable.to_json()).expect("what was stored is read");
            assert_eq!(again.to_json(), payable.to_json());
        }
    }
});
