#![no_main]

use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};
use libfuzzer_sys::fuzz_target;
use tower_x402::{
    ClientConditions, ClientRequest, Network,
    clock::Timestamp,
    l402::{Challenge, Payable},
};

fuzz_target!(|lines: &[u8]| {
    let lines = lines
        .split(|byte| *byte == b'\n')
        .filter_map(|line| HeaderValue::from_bytes(line).ok());
    let headers: HeaderMap = lines.take(32).fold(HeaderMap::new(), |mut headers, line| {
        headers.append(WWW_AUTHENTICATE, line);
        headers
    });
    let challenges = Challenge::in_headers(&headers);
    assert!(challenges.len() <= Challenge::MAX_PER_RESPONSE);
    for challenge in challenges {
        let written = HeaderMap::from_iter([(WWW_AUTHENTICATE, challenge.header_value())]);
        let [again] = &Challenge::in_headers(&written)[..] else {
            panic!("what was read can be written")
        };
        assert_eq!(again.scheme(), challenge.scheme());
        assert_eq!(again.token(), challenge.token());
        assert_eq!(again.invoice(), challenge.invoice());
        let request = ClientRequest::Http {
            method: "GET",
            url: "https://api.example.com/",
            headers: &HeaderMap::new(),
            body_hash: [0; 32],
        };
        let now = Timestamp::from_unix_seconds(0);
        let conditions = ClientConditions::new(Network::Bitcoin, now);
        if let Ok(payable) = Payable::check(&challenge, &request, &conditions) {
            let again = Payable::from_json(&payable.to_json()).expect("what was stored is read");
            assert_eq!(again.to_json(), payable.to_json());
        }
    }
});
