//! `lightning-invoice` reads every invoice that this crate accepts and would write the same text,
//! and the named payee signed it.
//!
//! The input is used twice: as a text, and as edits of a genuine invoice. An edit has 3 bytes: the
//! operation, the position and the word. The edited invoice gets a new checksum. Its payee is the
//! key that its signature then recovers.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lightning_invoice::SignedRawBolt11Invoice;
use tower_x402::{Invoice, internals::x402::Bench};

const WORDS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static GENUINE: LazyLock<String> = LazyLock::new(|| {
    let bench = Bench::new();
    bench.invoice(&bench.call()).as_str().to_owned()
});

/// Appends the checksum of BIP 173.
fn with_checksum(prefix: &str, mut words: Vec<u8>) -> String {
    let high = prefix.bytes().map(|byte| byte >> 5);
    let low = prefix.bytes().map(|byte| byte & 31);
    let all = high
        .chain([0])
        .chain(low)
        .chain(words.iter().copied())
        .chain([0; 6]);
    let sum = all.fold(1_u32, |sum, word| {
        let factors = [
            0x3b6a_57b2,
            0x2650_8e6d,
            0x1ea1_19fa,
            0x3d42_33dd,
            0x2a14_62b3,
        ];
        let next = (sum & 0x01ff_ffff) << 5 ^ u32::from(word);
        (0..5)
            .filter(|bit| sum >> (25 + bit) & 1 == 1)
            .fold(next, |next, bit| next ^ factors[bit as usize])
    }) ^ 1;
    words.extend((0..6).rev().map(|place| (sum >> (5 * place) & 31) as u8));
    let words = words
        .iter()
        .map(|word| char::from(WORDS[usize::from(*word)]));
    prefix.chars().chain(['1']).chain(words).collect()
}

fn edited(genuine: &str, edits: &[u8]) -> String {
    let (prefix, data) = genuine.rsplit_once('1').expect("an invoice");
    let word = |byte| WORDS.iter().position(|word| *word == byte).expect("a word") as u8;
    let mut prefix = prefix.as_bytes().to_vec();
    let mut words: Vec<_> = data.bytes().take(data.len() - 6).map(word).collect();
    for edit in edits.chunks_exact(3).take(64) {
        let at = usize::from(edit[1]) * 2 + usize::from(edit[0] >> 7);
        match edit[0] % 8 {
            0 => words.insert(at % (words.len() + 1), edit[2] % 32),
            1 if !words.is_empty() => drop(words.remove(at % words.len())),
            2 => prefix.insert(
                at % (prefix.len() + 1),
                b"0123456789abcmnprtu"[usize::from(edit[2] % 19)],
            ),
            3 if !prefix.is_empty() => drop(prefix.remove(at % prefix.len())),
            _ if !words.is_empty() => {
                let length = words.len();
                words[at % length] = edit[2] % 32;
            }
            _ => {}
        }
    }
    with_checksum(&String::from_utf8_lossy(&prefix), words)
}

fn agree(text: &str) -> bool {
    let Ok(invoice) = Invoice::parse(text) else {
        return false;
    };
    let signed: SignedRawBolt11Invoice = text.parse().expect("a second decoder reads it");
    assert_eq!(signed.to_string(), text.to_ascii_lowercase());
    assert!(signed.check_signature());
    assert_eq!(invoice.as_str(), text);
    assert_eq!(
        invoice.amount().map(|amount| amount.as_msat() * 10),
        signed.amount_pico_btc()
    );
    assert_eq!(
        signed
            .payment_hash()
            .map(|hash| *AsRef::<[u8; 32]>::as_ref(&hash.0)),
        Some(*invoice.payment_hash().as_bytes())
    );
    match signed.payee_pub_key() {
        Some(named) => assert_eq!(named.serialize(), *invoice.payee()),
        None => assert_eq!(
            signed.recover_payee_pub_key().expect("a key").0.serialize(),
            *invoice.payee()
        ),
    }
    true
}

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = std::str::from_utf8(input) {
        agree(text);
    }
    let text = edited(&GENUINE, input);
    assert!(
        agree(&text) || text != *GENUINE,
        "the genuine invoice must parse"
    );
});
