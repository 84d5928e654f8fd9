//! Checks of what a node says about an invoice or a payment.

use super::{NodeError, NodeErrorKind, PaymentStatus};
use crate::payment::{Amount, Invoice, Network, PaymentHash, Preimage};

/// Returns the status of a payment that the node calls paid.
///
/// # Errors
///
/// If the preimage is missing or belongs to another payment. Money may have left.
pub(crate) fn paid(
    node: &'static str,
    payment_hash: PaymentHash,
    preimage: Option<&str>,
    fee: Amount,
) -> Result<PaymentStatus, NodeError> {
    let wrong =
        |why: &'static str| NodeError::new(NodeErrorKind::BadAnswer, node, why).maybe_paid();
    let preimage = preimage.and_then(Preimage::from_hex).ok_or_else(|| {
        wrong("expected the preimage of a paid payment, as 64 hexadecimal digits")
    })?;
    if payment_hash.is_of(&preimage) {
        Ok(PaymentStatus::Paid { preimage, fee })
    } else {
        Err(wrong(
            "expected the preimage of this payment, and not of another",
        ))
    }
}

/// Returns an invoice that the node made.
///
/// # Errors
///
/// If it cannot be parsed, is for another amount or network, or does not have the payment hash that
/// the node names.
pub(crate) fn made(
    node: &'static str,
    text: &str,
    payment_hash: Option<&str>,
    amount: Amount,
    network: Network,
) -> Result<Invoice, NodeError> {
    let wrong = |why: &'static str| NodeError::new(NodeErrorKind::BadAnswer, node, why);
    let invoice = Invoice::parse(text)
        .map_err(|error| NodeError::new(NodeErrorKind::BadAnswer, node, error))?;
    if invoice.amount() != Some(amount) {
        return Err(wrong("expected an invoice of exactly the requested amount"));
    }
    if invoice.network() != network {
        return Err(wrong("expected an invoice for the network of the node"));
    }
    if payment_hash.is_some_and(|hash| PaymentHash::from_hex(hash) != Some(invoice.payment_hash()))
    {
        return Err(wrong(
            "expected an invoice with the payment hash that the node names",
        ));
    }
    Ok(invoice)
}

/// Checks that an invoice can be paid by a wallet on `network`.
///
/// # Errors
///
/// If it is for another network or has no amount.
pub(crate) fn payable(
    node: &'static str,
    invoice: &Invoice,
    network: Network,
) -> Result<Amount, NodeError> {
    let refused = |why: String| NodeError::new(NodeErrorKind::Refused, node, why);
    if invoice.network() != network {
        return Err(refused(format!(
            "expected an invoice for {network}: this wallet pays no others"
        )));
    }
    invoice
        .amount()
        .ok_or_else(|| refused("expected an invoice with an amount".to_owned()))
}
