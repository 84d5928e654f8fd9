#![no_main]

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use libfuzzer_sys::fuzz_target;
use tower_x402::l402::{Credential, Scheme};

fuzz_target!(|lines: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(8) {
        let (metadata, line) = line
            .strip_prefix(b"#")
            .map_or((false, line), |line| (true, line));
        let Ok(value) = HeaderValue::from_bytes(line) else {
            continue;
        };
        if metadata {
            headers.append("macaroon", value);
        } else {
            headers.append(AUTHORIZATION, value);
        }
    }
    assert!(Credential::in_headers(&headers).count() <= Credential::MAX_PER_REQUEST);
    for credential in Credential::in_headers(&headers).flatten() {
        let written =
            HeaderMap::from_iter([(AUTHORIZATION, credential.header_value(Scheme::Lsat))]);
        let again = Credential::in_headers(&written)
            .next()
            .expect("one is there")
            .expect("what was read can be written");
        assert_eq!(
            again.macaroon().to_bytes(),
            credential.macaroon().to_bytes()
        );
        assert_eq!(again.preimage().expose(), credential.preimage().expose());
    }
});
