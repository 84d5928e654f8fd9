#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_x402::internals::codec::auth_param::{
    self, AuthChallenge, after_scheme, folded_credentials,
};

fuzz_target!(|line: &[u8]| {
    let parts: Vec<_> = folded_credentials(line).collect();
    assert!(parts.iter().map(|part| part.len()).sum::<usize>() <= line.len());
    for part in parts {
        let _ = after_scheme(part, "Payment");
    }
    for challenge in AuthChallenge::parse_list(line).unwrap_or_default() {
        if challenge.token68().is_some() {
            assert!(challenge.params().is_empty());
            continue;
        }
        let params = challenge
            .params()
            .iter()
            .map(|(name, value)| (*name, &**value));
        let written =
            auth_param::write(challenge.scheme(), params).expect("what was read can be written");
        let again = AuthChallenge::parse_list(written.as_bytes());
        let Some([again]) = again.as_deref() else {
            // Quoting may make a line longer than the limit.
            assert!(written.len() > 64 * 1024);
            continue;
        };
        assert_eq!(again.scheme(), challenge.scheme());
        assert_eq!(again.params(), challenge.params());
    }
});
