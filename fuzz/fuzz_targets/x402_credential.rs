//! A credential that was changed in any way proves the payment that it was made for, or nothing;
//! one that was made up, nothing.
//!
//! Input: `!` and a text, which is made up; or edits of a genuine credential, 4 bytes each: what to
//! do, where (2 bytes), and with which byte. With a first byte `=` the edits are made to the
//! header, else to the JSON in it.
#![no_main]

use std::sync::LazyLock;

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tower_x402::{
    internals::{
        codec::base64,
        x402::{Bench, Call},
    },
    x402::{PaymentPayload, PaymentRequirements, decode_header},
};

/// The key of its node is random in each process; where everything stands is not.
static GENUINE: LazyLock<(Bench, Call, HeaderValue, String)> = LazyLock::new(|| {
    let bench = Bench::new();
    let call = bench.call();
    let credential = bench.credential(&call, &bench.challenge(&call, &bench.invoice(&call)));
    assert!(bench.verify(&call.clone().with(&credential)));
    let text = decode_header(credential.as_bytes()).expect("a header");
    (bench, call, credential, text)
});

fn edited(genuine: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = genuine.to_vec();
    for edit in edits.chunks_exact(4).take(64) {
        let at = usize::from(u16::from_le_bytes([edit[1], edit[2]]));
        match edit[0] % 4 {
            _ if bytes.is_empty() => {}
            0 => bytes.insert(at % bytes.len(), edit[3]),
            1 => drop(bytes.remove(at % bytes.len())),
            // A byte of another place: what is moved is of the right kind more often.
            2 => {
                let length = bytes.len();
                bytes[at % length] = bytes[usize::from(edit[3]) * 7 % length];
            }
            _ => {
                let length = bytes.len();
                bytes[at % length] = edit[3];
            }
        }
    }
    bytes
}

/// What a payment is: who was paid how much, by which invoice, for which request, and what shows
/// it.
fn payment(text: &str) -> Vec<Value> {
    let value: Value = serde_json::from_str(text).expect("what opens is JSON");
    let terms = [
        "scheme",
        "network",
        "amount",
        "asset",
        "payTo",
        "maxTimeoutSeconds",
    ]
    .map(|name| value["accepted"][name].clone());
    let extra = [
        "requestHash",
        "requestBindingProfile",
        "requestBindingParams",
    ]
    .map(|name| value["accepted"]["extra"][name].clone());
    let invoice = value["accepted"]["extra"]["invoice"]
        .as_str()
        .expect("a text")
        .to_ascii_lowercase();
    [
        terms.as_slice(),
        &extra,
        &[invoice.into(), value["payload"]["preimage"].clone()],
    ]
    .concat()
}

fn read(text: &str) {
    if let Ok(payload) = PaymentPayload::from_json(text) {
        let again = serde_json::to_string(payload.accepted()).expect("JSON");
        let again = PaymentRequirements::from_json(&again).expect("it was read");
        assert_eq!(again.scheme(), payload.accepted().scheme());
        assert_eq!(again.network(), payload.accepted().network());
    }
}

fuzz_target!(|input: &[u8]| {
    let (bench, call, credential, text) = &*GENUINE;
    let (header, is_made_up) = match input.split_first() {
        Some((b'!', made_up)) => (base64::encode_standard(made_up).into_bytes(), true),
        Some((b'=', edits)) => (edited(credential.as_bytes(), edits), false),
        _ => (
            base64::encode_standard(edited(text.as_bytes(), input)).into_bytes(),
            false,
        ),
    };
    let Ok(header) = HeaderValue::from_bytes(&header) else {
        return;
    };
    let shown = decode_header(header.as_bytes());
    shown.iter().for_each(|shown| read(shown));
    if bench.verify(&call.clone().with(&header)) {
        let shown = shown.expect("what opens is a header");
        assert!(!is_made_up, "made up, and opens: {shown}");
        assert_eq!(
            payment(&shown),
            payment(text),
            "another payment opens: {shown}"
        );
    } else {
        assert_ne!(header, credential, "the genuine one does not open");
    }
});
