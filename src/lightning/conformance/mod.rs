//! Test suites that check the contracts of [`Receiver`] and [`Payer`] against your own node.
//!
//! Each check panics with a sentence that says what was expected. Run them in a test, against a
//! real node or a wallet with some test money. They need a tokio runtime with time enabled and not
//! paused. They make about 70 invoices. The payer makes twelve payments of less than 300 satoshis
//! in total, plus their fees.
//!
//! ```
//! use tower_x402::lightning::{LocalNode, conformance};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let node = LocalNode::new();
//! conformance::receiver(&node).await;
//! conformance::payer(&node, &node).await;
//! # }
//! ```
//!
//! They cannot check everything. Make sure yourself that
//!
//! - a payment hash is new after a restart too,
//! - an error says so if the payment may have left
//!   ([`NodeError::may_have_paid`](super::NodeError::may_have_paid)),
//! - nothing logs a preimage.

mod asking;
mod invoices;
mod payments;

use super::{Payer, Receiver};

/// Checks that a [`Receiver`] keeps its contract.
///
/// # Panics
///
/// If it does not.
pub async fn receiver<R: Receiver + ?Sized>(node: &R) {
    invoices::invoices_have_what_was_requested(node).await;
    invoices::an_empty_or_long_text_is_exact_or_refused(node).await;
    invoices::fractions_of_a_satoshi_are_exact_or_refused(node).await;
    invoices::no_invoice_is_handed_out_twice(node).await;
    invoices::lookups_distinguish_open_from_unknown(node).await;
}

/// Checks that a [`Payer`] keeps its contract. It pays invoices of `receiver`, which must be
/// another node, or a node that can pay itself.
///
/// # Panics
///
/// If it does not.
pub async fn payer<R: Receiver + ?Sized, P: Payer + ?Sized>(receiver: &R, payer: &P) {
    assert_eq!(
        payer.profile().network,
        receiver.profile().network,
        "payer and receiver must be on one network"
    );
    payments::a_payment_is_proved_and_seen(receiver, payer).await;
    payments::an_invoice_of_another_network_is_not_paid(payer).await;
    payments::fractions_of_a_satoshi_are_paid(receiver, payer).await;
    payments::paying_again_pays_once(receiver, payer).await;
    payments::paying_at_the_same_time_pays_once(receiver, payer).await;
    payments::many_payments_at_the_same_time_are_kept_apart(receiver, payer).await;
}
