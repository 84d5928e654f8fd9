#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_x402::{
    codec::base64,
    mpp::{CredentialText, Receipt},
};

/// Reads a header value and answers what would be written for it.
fn rewritten(value: &[u8]) -> Option<Vec<u8>> {
    let text = CredentialText::decode(value)?;
    let credential = text.read()?;
    let _ = credential.preimage();
    Some(credential.to_header_value().expect("what was read can be written").as_bytes().to_vec())
}

fuzz_target!(|input: &[u8]| {
    let as_json = [b"Payment ", base64::encode_url(input).as_bytes()].concat();
    for value in [input, &as_json] {
        if let Some(first) = rewritten(value) {
            let second = rewritten(&first);
            assert!(second.as_ref() == Some(&first) || first.len() > 64 * 1024);
        }
    }
    if let Some(receipt) = Receipt::parse(input) {
        let written = receipt.to_header_value().expect("what was read can be written");
        assert!(Receipt::parse(written.as_bytes()).as_ref() == Some(&receipt) || written.len() > 16 * 1024);
    }
});
