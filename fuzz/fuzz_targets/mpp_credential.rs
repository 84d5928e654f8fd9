#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_x402::{
    internals::codec::base64,
    mpp::{Credential, CredentialText, Receipt},
};

/// Checks that a parsed credential is the same after it was written and parsed again.
fn round_trip(value: &[u8]) -> Option<()> {
    let text = CredentialText::decode(value)?;
    let credential = text.read()?;
    let written = credential
        .to_header_value()
        .expect("what was read can be written");
    if written.len() > 64 * 1024 {
        return None;
    }
    let text = CredentialText::decode(written.as_bytes()).expect("what was written can be decoded");
    let again = text.read().expect("what was written can be read");
    assert_eq!(again.challenge, credential.challenge);
    assert_eq!(again.source, credential.source);
    let preimage =
        |credential: &Credential<'_>| credential.preimage().map(|preimage| preimage.expose_hex());
    assert_eq!(preimage(&again), preimage(&credential));
    assert_eq!(again.to_header_value(), Some(written));
    Some(())
}

fuzz_target!(|input: &[u8]| {
    let as_json = [b"Payment ", base64::encode_url(input).as_bytes()].concat();
    for value in [input, &as_json] {
        let _ = round_trip(value);
    }
    if let Some(receipt) = Receipt::parse(input) {
        let written = receipt
            .to_header_value()
            .expect("what was read can be written");
        assert!(
            Receipt::parse(written.as_bytes()).as_ref() == Some(&receipt)
                || written.len() > 16 * 1024
        );
    }
});
