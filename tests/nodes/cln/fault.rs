//! What is wrong with the answers of a server.

use tower_x402::{Invoice, PaymentHash};

/// Stands for every method of a fault.
pub(super) const ANY: &str = "*";

/// What is wrong with the answers to a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection ends instead of the answer.
    Closes,
    /// There is no answer.
    Silent,
    /// The connection ends after half of the answer.
    Half,
    /// The answer is no JSON.
    Garbage,
    /// The answer never ends.
    Endless,
    /// The answer is to another call.
    OtherCall,
    /// Neither a result nor an error.
    Neither,
    /// An error with this code, instead of doing anything.
    Error(i64),
    /// An invoice for one millisatoshi more.
    OtherAmount,
    /// Another payment hash beside the invoice or the payment.
    OtherHash,
    /// A paid payment without its preimage.
    NoPreimage,
    /// The preimage of another payment.
    WrongPreimage,
    /// The invoice in the preimage's place.
    InvoiceAsPreimage,
}

pub(super) fn shown(hash: PaymentHash, fault: Option<Fault>) -> String {
    match fault {
        Some(Fault::OtherHash) => "ab".repeat(32),
        _ => hash.to_string(),
    }
}

pub(super) fn told(preimage: &str, invoice: &Invoice, fault: Option<Fault>) -> Option<String> {
    match fault {
        Some(Fault::NoPreimage) => None,
        Some(Fault::WrongPreimage) => Some("cd".repeat(32)),
        Some(Fault::InvoiceAsPreimage) => Some(invoice.as_str().to_owned()),
        _ => Some(preimage.to_owned()),
    }
}
