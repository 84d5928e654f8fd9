#![no_main]

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use tower_x402::{
    ClientConditions, ClientRequest, Network,
    clock::Timestamp,
    internals::codec::base64,
    mpp::{Challenge, Payable},
};

/// The hash that a digest names, so that every challenge is for this body.
fn named(digest: Option<&str>) -> [u8; 32] {
    let text = digest.and_then(|text| text.strip_prefix("sha-256=:"));
    let bytes = text.and_then(|text| base64::decode_standard(text.strip_suffix(':')?));
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .unwrap_or_default()
}

fuzz_target!(|line: &[u8]| {
    for challenge in Challenge::parse_line(line) {
        let written = challenge
            .to_header_value()
            .expect("what was read can be written");
        let again = Challenge::parse_line(written.as_bytes());
        assert!(again.as_slice() == std::slice::from_ref(&challenge) || written.len() > 64 * 1024);
        assert_eq!(challenge.id_under(b"key").len(), 43);
        let request = ClientRequest::Http {
            method: "GET",
            url: "https://api.example.com/",
            headers: &HeaderMap::new(),
            body_hash: named(challenge.digest.as_deref()),
        };
        for network in [Network::Bitcoin, Network::Regtest, Network::Signet] {
            let conditions = ClientConditions::new(network, Timestamp::from_unix_seconds(0));
            let Ok(payable) = Payable::check(&challenge, &request, &conditions) else {
                continue;
            };
            assert_eq!(payable.invoice().amount(), Some(payable.amount()));
            assert!(payable.expires_at() <= payable.invoice().expires_at());
            let again = Payable::from_json(&payable.to_json()).expect("what was stored is read");
            assert_eq!(again.challenge(), payable.challenge());
        }
    }
});
