//! A parsed receipt is the same after it was written and parsed again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_x402::x402::Receipt;

fuzz_target!(|text: &str| {
    if let Some(response) = Receipt::from_json(text) {
        let again = serde_json::to_string(&response).expect("JSON");
        assert_eq!(Receipt::from_json(&again), Some(response));
    }
});
