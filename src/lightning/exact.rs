//! Checks of what a node answers.

use super::{NodeError, NodeErrorKind, PaymentStatus};
use crate::payment::{Amount, Invoice, Network, PaymentHash, Preimage};

/// Reads an invoice that a node made, and checks what must be exact whatever the invoice is for: the
/// amount, the network, and who signed it.
pub(crate) fn invoice(
    node: &'static str,
    text: &str,
    amount: Amount,
    network: Network,
    payee: [u8; 33],
) -> Result<Invoice, NodeError> {
    let bad = |why: String| NodeError::new(NodeErrorKind::BadAnswer, node, why);
    let invoice = Invoice::parse(text).map_err(|error| bad(error.to_string()))?;
    if invoice.amount() != Some(amount) {
        return Err(bad(format!("expected an invoice of exactly {amount}")));
    }
    if invoice.network() != network {
        return Err(bad(format!(
            "expected an invoice for {network}, as when it was connected, but it is for {}",
            invoice.network()
        )));
    }
    if *invoice.payee() != payee {
        return Err(bad(
            "expected an invoice that is signed by the same key as when it was connected; if the node was replaced, connect it again"
                .to_owned(),
        ));
    }
    Ok(invoice)
}

/// Returns an amount for a node that only knows whole satoshis.
#[cfg(any(feature = "lnbits", feature = "phoenixd"))]
pub(crate) fn whole_sats(node: &'static str, amount: Amount) -> Result<u64, NodeError> {
    let why = "expected an amount of whole satoshis";
    let refused = || NodeError::new(NodeErrorKind::Refused, node, why);
    amount.as_whole_sat().ok_or_else(refused)
}

/// Reads the preimage that a wallet returned, and checks that it is of this payment.
pub(crate) fn paid(
    node: &'static str,
    payment_hash: PaymentHash,
    preimage: Option<&str>,
    fee: Amount,
) -> Result<PaymentStatus, NodeError> {
    match preimage.and_then(Preimage::from_hex) {
        Some(preimage) if payment_hash.is_of(&preimage) => {
            Ok(PaymentStatus::Paid { preimage, fee })
        }
        _ => {
            let why = "expected the preimage of the payment that it says it made";
            Err(NodeError::new(NodeErrorKind::BadAnswer, node, why).maybe_paid())
        }
    }
}

/// Checks the payment hash that a node names beside an invoice, if it names one.
#[cfg(any(feature = "cln", feature = "nwc"))]
pub(crate) fn named(
    node: &'static str,
    invoice: Invoice,
    payment_hash: Option<&str>,
) -> Result<Invoice, NodeError> {
    if payment_hash.is_none_or(|hash| PaymentHash::from_hex(hash) == Some(invoice.payment_hash())) {
        return Ok(invoice);
    }
    let why = "expected an invoice with the payment hash that is named beside it";
    Err(NodeError::new(NodeErrorKind::BadAnswer, node, why))
}
