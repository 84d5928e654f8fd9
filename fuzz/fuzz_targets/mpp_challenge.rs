#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_x402::{
    clock::Timestamp,
    mpp::{Challenge, Payable},
};

fuzz_target!(|line: &[u8]| {
    for challenge in Challenge::parse_line(line) {
        let written = challenge
            .to_header_value()
            .expect("what was read can be written");
        let again = Challenge::parse_line(written.as_bytes());
        assert!(again.as_slice() == std::slice::from_ref(&challenge) || written.len() > 64 * 1024);
        assert_eq!(challenge.id_under(b"key").len(), 43);
        if let Ok(payable) = Payable::check(challenge, None, Timestamp::from_unix_seconds(0)) {
            assert_eq!(payable.invoice().amount(), Some(payable.amount()));
            assert!(payable.expires_at() <= payable.invoice().expires_at());
        }
    }
});
