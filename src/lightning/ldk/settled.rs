//! Which invoices settled, by asking the node again and again.

use std::time::Duration;

use ldk_node::payment::{PaymentDirection, PaymentKind, PaymentStatus as Progress};

use crate::{
    boxed::BoxStream,
    clock::Timestamp,
    lightning::{
        blocking::Blocking,
        polling::{self, Pauses},
    },
    payment::PaymentHash,
};

/// Returns a stream of the invoices of a node that settle from now on.
pub(super) fn stream(
    node: &Blocking<ldk_node::Node>,
    pause: Duration,
) -> BoxStream<'_, PaymentHash> {
    let pauses = Pauses {
        usual: pause,
        longest: pause,
    };
    polling::stream(pauses, move |since| {
        Box::pin(node.call(move |node| settled(node, since)))
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
