//! Which invoices settled, by asking the node again and again.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use ldk_node::payment::{PaymentDirection, PaymentKind, PaymentStatus as Progress};
use tokio::time::sleep;

use crate::{
    boxed::BoxStream,
    clock::{Clock as _, SystemClock, Timestamp},
    lightning::unfold::unfold,
    payment::PaymentHash,
};

/// How often the node is asked for settled invoices.
const POLL: Duration = Duration::from_secs(1);

/// Returns a stream of the invoices of a node that settle from now on.
pub(super) fn stream(node: &ldk_node::Node) -> BoxStream<'_, PaymentHash> {
    let start = Polling {
        node,
        since: SystemClock::new().now(),
        seen: HashSet::new(),
        next: VecDeque::new(),
    };
    unfold(start, |polling| Box::pin(polling.next()))
}

/// A stream of settled invoices.
struct Polling<'a> {
    node: &'a ldk_node::Node,
    /// Invoices that settled before this second were reported, or settled before the stream began.
    since: Timestamp,
    /// Those that settled in that second or later, and were reported.
    seen: HashSet<PaymentHash>,
    next: VecDeque<PaymentHash>,
}

impl Polling<'_> {
    async fn next(mut self) -> (PaymentHash, Self) {
        loop {
            if let Some(hash) = self.next.pop_front() {
                return (hash, self);
            }
            self.poll();
            if self.next.is_empty() {
                sleep(POLL).await;
            }
        }
    }

    fn poll(&mut self) {
        let since = self.since.as_unix_seconds();
        let settled = self.node.list_payments_with_filter(|payment| {
            // Deposits on the chain are listed too, under their transactions.
            matches!(
                payment.kind,
                PaymentKind::Bolt11 { .. } | PaymentKind::Bolt11Jit { .. }
            ) && payment.direction == PaymentDirection::Inbound
                && payment.status == Progress::Succeeded
                && payment.latest_update_timestamp >= since
        });
        let latest = settled
            .iter()
            .map(|payment| payment.latest_update_timestamp)
            .max();
        let latest = Timestamp::from_unix_seconds(latest.unwrap_or(since));
        let mut seen = HashSet::new();
        for payment in settled {
            let hash = PaymentHash::from_bytes(payment.id.0);
            if !self.seen.contains(&hash) {
                self.next.push_back(hash);
            }
            if payment.latest_update_timestamp >= latest.as_unix_seconds() {
                seen.insert(hash);
            }
        }
        self.since = latest;
        self.seen = seen;
    }
}
