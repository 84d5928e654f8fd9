#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_x402::l402::Macaroon;

fuzz_target!(|bytes: &[u8]| {
    let Ok(macaroon) = Macaroon::parse(bytes) else {
        return;
    };
    let written = macaroon.to_bytes();
    assert!(
        written.len() <= bytes.len(),
        "only an empty location may be left out"
    );
    let again = Macaroon::parse(written.clone()).expect("what was read can be written and read");
    assert_eq!(again.to_bytes(), written);
    assert_eq!(again.identifier(), macaroon.identifier());
    assert_eq!(again.location(), macaroon.location());
    assert!(again.caveats().eq(macaroon.caveats()));
    assert!(!macaroon.is_signed_with(b"a key that nobody signs with"));
    if let Ok(narrower) = macaroon.attenuate("colour=blue") {
        assert_eq!(narrower.caveats().count(), macaroon.caveats().count() + 1);
    }
});
