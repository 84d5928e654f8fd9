//! What this crate takes for an invoice is what `lightning-invoice` reads and would write, signed by whom it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lightning_invoice::SignedRawBolt11Invoice;
use tower_x402::Invoice;

fuzz_target!(|text: &str| {
    let Ok(invoice) = Invoice::parse(text) else {
        return;
    };
    let signed: SignedRawBolt11Invoice = text.parse().expect("a second decoder reads it");
    assert_eq!(signed.to_string(), text.to_ascii_lowercase());
    assert!(signed.check_signature());
    assert_eq!(invoice.as_str(), text);
    assert_eq!(invoice.amount().map(|amount| amount.as_msat() * 10), signed.amount_pico_btc());
    assert_eq!(signed.payment_hash().map(|hash| *AsRef::<[u8; 32]>::as_ref(&hash.0)), Some(*invoice.payment_hash().as_bytes()));
    match signed.payee_pub_key() {
        Some(named) => assert_eq!(named.serialize(), *invoice.payee()),
        None => assert_eq!(signed.recover_payee_pub_key().expect("a key").0.serialize(), *invoice.payee()),
    }
});
