use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};
use secp256k1::{
    Message, SECP256K1, SecretKey,
    hashes::{Hash as _, sha256},
};
use tower_x402::internals::server::Bench;

use crate::{
    measure::{ROUNDS, compare, job},
    report::Row,
};

pub fn rows() -> Vec<Row> {
    let bench = Bench::new();
    assert_eq!(bench.challenge().headers().len(), 6);
    let key = SecretKey::from_slice(&[7; 32]).expect("a key");
    let sign = || {
        InvoiceBuilder::new(Currency::Regtest)
            .description_hash(sha256::Hash::from_byte_array([1; 32]))
            .payment_hash(sha256::Hash::from_byte_array([2; 32]))
            .payment_secret(PaymentSecret([3; 32]))
            .amount_milli_satoshis(10_000)
            .duration_since_epoch(std::time::Duration::from_secs(1_800_000_000))
            .min_final_cltv_expiry_delta(144)
            .expiry_time(std::time::Duration::from_secs(300))
            .build_signed(|hash: &Message| SECP256K1.sign_ecdsa_recoverable(hash, &key))
            .expect("an invoice")
    };
    let jobs = [job(|| bench.challenge()), job(sign)];
    vec![Row::at_most(
        "challenge in three dialects / lightning-invoice signs",
        0.15,
        compare(ROUNDS, jobs),
    )]
}
