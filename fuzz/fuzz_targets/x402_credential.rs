//! An edited credential proves the payment that it was made for, or nothing. A made-up credential
//! proves nothing.
//!
//! The input is `!` and a made-up text, or edits of a genuine credential. An edit has 4 bytes: the
//! operation, the position (2 bytes), and the byte. If the first byte is `=`, the edits apply to
//! the header, and otherwise to the JSON in it.
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

/// A genuine credential. Its node's key is random in each process, but all positions are the same.
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
            // Copies a byte from another position, because such a byte fits the syntax more often.
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

/// Returns what identifies a payment: payee, amount, invoice, request and proof.
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
        assert!(!is_made_up, "a made-up credential was accepted: {shown}");
        assert_eq!(
            payment(&shown),
            payment(text),
            "a credential for another payment was accepted: {shown}"
        );
    } else {
        assert_ne!(header, credential, "the genuine credential was refused");
    }
});
