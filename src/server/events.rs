//! The log events about single requests, with fields. The page `docs/answers.md` lists them.
//!
//! The query of a URL is never printed. It often holds keys and personal data, and more people read
//! logs than requests.

use crate::{
    payment::{Payment, PaymentReceipt, Refusal},
    trace::{self, shown},
};

/// Logs at DEBUG that a credential was refused, and why.
pub(in crate::server) fn refused(refusal: &Refusal, path: &str) {
    trace::event!(
        DEBUG,
        "credential refused",
        dialect = refusal.dialect().as_str(),
        kind = refusal.kind().as_str(),
        code = refusal.code(),
        path = path,
    );
}

/// Logs at INFO that a payment was settled, and by whom.
pub(in crate::server) fn settled(receipt: &PaymentReceipt) {
    match receipt.payment() {
        Payment::Lightning(paid) => trace::event!(
            INFO,
            "payment settled",
            dialect = receipt.dialect().as_str(),
            amount_msat = paid.amount().as_msat(),
            payment_hash = shown(paid.payment_hash()),
            client = shown(receipt.client()),
            resource = shown(receipt.resource_without_query()),
        ),
    }
}
