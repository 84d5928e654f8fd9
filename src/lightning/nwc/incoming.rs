//! The stream of settled invoices of a wallet that sends no notifications.

use std::time::Duration;

use super::{
    wallet::{ANSWER, Wallet},
    wire::{INCOMING, ListTransactions, Transactions},
};
use crate::{
    clock::{Clock as _, SystemClock, Timestamp},
    lightning::{
        BoxStream, NodeError,
        polling::{self, Pauses},
    },
    payment::PaymentHash,
};

const PAUSES: Pauses = Pauses {
    usual: Duration::from_secs(5),
    longest: Duration::from_secs(5),
};

/// How long ago an invoice may have been made.
const AGE: Duration = Duration::from_secs(86_400);

/// How many transactions are asked for at a time. More may not fit into a message.
const MOST: u64 = 20;

/// Returns a stream of the invoices that settle from now on. The wallet's clock may differ, so it is
/// always asked for what settled since the stream began.
pub(super) fn stream(wallet: &Wallet) -> BoxStream<'_, PaymentHash> {
    let begin = SystemClock::new().now();
    polling::stream(PAUSES, move |_| Box::pin(settled(wallet, begin)))
}

async fn settled(wallet: &Wallet, since: Timestamp) -> Result<Vec<PaymentHash>, NodeError> {
    let params = ListTransactions {
        from: since.as_unix_seconds().saturating_sub(AGE.as_secs()),
        limit: MOST,
        kind: INCOMING,
    };
    let found: Transactions = wallet
        .ask("list_transactions", params, ANSWER, ANSWER)
        .await?;
    let found = found.transactions.iter();
    let settled = found.filter(|one| one.is_settled_since(since));
    Ok(settled.filter_map(|one| one.payment_hash()).collect())
}
