use std::time::Duration;

use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};
use secp256k1::{
    SECP256K1, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};

use super::{signing::hash, *};
use crate::{
    clock::Timestamp,
    payment::{Amount, Network, PaymentHash},
};

fn draft(expiry: Duration) -> InvoiceDraft {
    InvoiceDraft {
        network: Network::Regtest,
        amount: Amount::from_sat(21),
        payment_hash: PaymentHash::from_bytes([1; 32]),
        description: InvoiceDescription::Hash([2; 32]),
        created_at: Timestamp::from_unix_seconds(1_700_000_000),
        expiry,
    }
}

#[test]
fn an_expiry_that_overflows_the_timestamp_range_is_refused() {
    let key = SigningKey::random().unwrap();
    let invoice = draft(Duration::from_secs(300)).sign(&key).unwrap();
    assert_eq!(invoice.payee(), &key.public_key());
    assert_eq!(
        Invoice::parse(&invoice.as_str().to_uppercase())
            .unwrap()
            .payment_hash(),
        invoice.payment_hash()
    );
    let error = draft(Duration::from_secs(u64::MAX)).sign(&key).unwrap_err();
    assert_eq!(error.kind(), InvoiceErrorKind::Malformed);
}

#[test]
fn a_high_s_signature_of_a_named_payee_is_refused() {
    let key = SigningKey::random().unwrap();
    let invoice = |named: bool, high: bool| {
        let builder = InvoiceBuilder::new(Currency::Regtest)
            .payment_hash(hash(&[1; 32]))
            .payment_secret(PaymentSecret([3; 32]));
        let builder = builder
            .description_hash(hash(&[2; 32]))
            .duration_since_epoch(Duration::from_secs(1_700_000_000));
        let builder = builder.min_final_cltv_expiry_delta(18);
        let builder = if named {
            builder.payee_pub_key(key.0.public_key(SECP256K1))
        } else {
            builder
        };
        let signed = builder.build_raw().unwrap().sign(|message| {
            let (id, mut bytes) = SECP256K1
                .sign_ecdsa_recoverable(message, &key.0)
                .serialize_compact();
            if high {
                let s = SecretKey::from_slice(&bytes[32..])?.negate();
                bytes[32..].copy_from_slice(&s.secret_bytes());
            }
            RecoverableSignature::from_compact(
                &bytes,
                RecoveryId::from_i32(id.to_i32() ^ i32::from(high))?,
            )
        });
        Invoice::parse(&signed.unwrap().to_string())
            .map(|invoice| *invoice.payee() == key.public_key())
    };
    assert_eq!(
        invoice(true, true).unwrap_err().to_string(),
        "invoice refused: not signed by the payee that it names"
    );
    for (named, high) in [(true, false), (false, false), (false, true)] {
        assert!(invoice(named, high).unwrap(), "recovery takes either half");
    }
}
