//! Strict JSON agrees with `serde_json` on every text that it takes, and canonical text is a fixed point.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_x402::codec::{jcs, json};

fuzz_target!(|text: &str| {
    let Ok(value) = json::parse(text) else {
        return;
    };
    let reference: serde_json::Value = serde_json::from_str(text).expect("a second reader reads it");
    assert_eq!(serde_json::to_value(&value).expect("JSON"), reference);
    if let Some(canonical) = jcs::canonical(&value) {
        let again = json::parse(&canonical).expect("canonical JSON");
        assert_eq!(jcs::canonical(&again), Some(canonical));
    }
});
