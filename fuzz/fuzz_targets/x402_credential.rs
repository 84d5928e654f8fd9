//! A credential that was changed in any way proves the payment that it was made for, or nothing; one that was made up, nothing.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tower_x402::{
    codec::base64,
    x402::{Bench, Call, PaymentPayload},
};

static BENCH: LazyLock<(Bench, Call)> = LazyLock::new(|| {
    let bench = Bench::new();
    let call = bench.call();
    (bench, call)
});

fuzz_target!(|text: &str| {
    let (bench, call) = &*BENCH;
    let read = PaymentPayload::from_json(text);
    if let Ok(payload) = &read {
        let again = serde_json::to_string(payload.accepted()).expect("JSON");
        let again = tower_x402::x402::PaymentRequirements::from_json(&again).expect("it was read");
        assert_eq!(again.scheme(), payload.accepted().scheme());
        assert_eq!(again.network(), payload.accepted().network());
    }
    // The bench's key is random in each process: nothing made up can be of it.
    let header = base64::encode_standard(text).parse().expect("base64 is a header value");
    assert!(!bench.verify(&call.clone().with(&header)));
});
