use super::{NodeError, NodeErrorKind};
use crate::payment::{Amount, Invoice, Network};

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
