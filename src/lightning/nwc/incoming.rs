//! The stream of settled invoices of a wallet that sends no notifications.

use std::{collections::VecDeque, time::Duration};

use tokio::time::sleep;

use super::{
    fault::Fault,
    wallet::{ANSWER, Wallet},
    wire::{INCOMING, ListTransactions, Transactions},
};
use crate::{
    clock::{Clock as _, SystemClock, Timestamp},
    lightning::{BoxStream, NodeError, unfold::unfold},
    payment::PaymentHash,
    trace,
};

/// How long to wait before the wallet is asked again.
const POLL: Duration = Duration::from_secs(5);

/// How long ago an invoice may have been made.
const AGE: Duration = Duration::from_secs(86_400);

/// How many transactions are asked for at a time. More may not fit into a message.
const MOST: u64 = 20;

/// How many settled invoices are remembered, so that they are not repeated.
const REMEMBERED: usize = 1_000;

/// Returns a stream of the invoices that settle from now on.
pub(super) fn stream(wallet: &Wallet) -> BoxStream<'_, PaymentHash> {
    let start = Polling {
        wallet,
        since: SystemClock::new().now(),
        seen: VecDeque::new(),
        next: VecDeque::new(),
    };
    unfold(start, |polling| Box::pin(polling.next()))
}

struct Polling<'a> {
    wallet: &'a Wallet,
    since: Timestamp,
    seen: VecDeque<PaymentHash>,
    next: VecDeque<PaymentHash>,
}

impl Polling<'_> {
    async fn next(mut self) -> (PaymentHash, Self) {
        loop {
            if let Some(hash) = self.next.pop_front() {
                return (hash, self);
            }
            if let Err(fault) = self.poll().await {
                let error = NodeError::from(fault);
                trace::warn(format_args!("settlements are late: {error}"));
            }
            if self.next.is_empty() {
                sleep(POLL).await;
            }
        }
    }

    async fn poll(&mut self) -> Result<(), Fault> {
        let from = self.since.as_unix_seconds().saturating_sub(AGE.as_secs());
        let params = ListTransactions {
            from,
            limit: MOST,
            kind: INCOMING,
        };
        let found: Transactions = self
            .wallet
            .ask("list_transactions", params, ANSWER, ANSWER)
            .await?;
        let settled = found
            .transactions
            .iter()
            .filter(|one| one.is_settled_since(self.since));
        for hash in settled.filter_map(|one| one.payment_hash()) {
            if !self.seen.contains(&hash) {
                self.next.push_back(hash);
                self.seen.push_back(hash);
            }
        }
        let more = self.seen.len().saturating_sub(REMEMBERED);
        self.seen.drain(..more);
        Ok(())
    }
}
