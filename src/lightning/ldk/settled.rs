//! Which invoices settled, by asking the node again and again.

use std::time::Duration;

use ldk_node::payment::{PaymentDirection, PaymentKind, PaymentStatus as Progress};

use crate::{
    boxed::BoxStream,
    clock::Timestamp,
    lightning::polling::{self, Pauses},
    payment::PaymentHash,
};

const PAUSES: Pauses = Pauses {
    usual: Duration::from_secs(1),
    longest: Duration::from_secs(1),
};

/// Returns a stream of the invoices of a node that settle from now on.
pub(super) fn stream(node: &ldk_node::Node) -> BoxStream<'_, PaymentHash> {
    polling::stream(PAUSES, move |since| {
        Box::pin(async move { Ok(settled(node, since)) })
    })
}

fn settled(node: &ldk_node::Node, since: Timestamp) -> Vec<PaymentHash> {
    let payments = node.list_payments_with_filter(|payment| {
        // Deposits on the chain are listed too, under their transactions.
        matches!(
            payment.kind,
            PaymentKind::Bolt11 { .. } | PaymentKind::Bolt11Jit { .. }
        ) && payment.direction == PaymentDirection::Inbound
            && payment.status == Progress::Succeeded
            && payment.latest_update_timestamp >= since.as_unix_seconds()
    });
    let hash = |payment: &ldk_node::payment::PaymentDetails| PaymentHash::from_bytes(payment.id.0);
    payments.iter().map(hash).collect()
}
