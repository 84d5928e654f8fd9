use std::{future::poll_fn, pin::pin};

use futures_core::Stream;

use super::{
    EntryId, EntryState, Ledger, LedgerError, RequestKey, entry::Record, plain::plain, tried::Tried,
};
use crate::payment::{Amount, PaymentReceipt};

impl Ledger {
    /// Records that the server of this application was paid, so that one ledger holds what was
    /// spent and what was earned. The same payment is recorded once, however many of its uses were
    /// settled. Returns whether it was new. A payment over another rail than Lightning is not
    /// recorded.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if the ledger is full or cannot be written.
    pub async fn record_income(&self, receipt: &PaymentReceipt) -> Result<bool, LedgerError> {
        let Some(income) = record(receipt)? else {
            return Ok(false);
        };
        self.change(move |books, _, changes| books.earn(income, changes))
            .await
    }

    /// Records each receipt of a stream as [`record_income`](Self::record_income) does, until it
    /// ends, for example what `Paywall::settlements` returns.
    ///
    /// # Errors
    ///
    /// As for [`record_income`](Self::record_income). The receipt that was not recorded is lost, so
    /// call it again for those that follow.
    pub async fn record_settlements(
        &self,
        receipts: impl Stream<Item = PaymentReceipt>,
    ) -> Result<(), LedgerError> {
        let mut receipts = pin!(receipts);
        while let Some(receipt) = poll_fn(|cx| receipts.as_mut().poll_next(cx)).await {
            self.record_income(&receipt).await?;
        }
        Ok(())
    }
}

fn record(receipt: &PaymentReceipt) -> Result<Option<Record>, LedgerError> {
    let Some(paid) = receipt.payment().as_lightning() else {
        return Ok(None);
    };
    let resource = receipt.resource_without_query().to_string();
    let (method, url) = resource.split_once(' ').unwrap_or(("", &resource));
    let authority = url.find("://").map_or(0, |at| at + 3);
    let path = url[authority..]
        .find('/')
        .map_or(url.len(), |at| authority + at);
    let (origin, path) = url.split_at(path);
    let host = &origin[authority..];
    Ok(Some(Record {
        id: EntryId::random()?,
        number: 0,
        state: EntryState::Earned,
        is_cleared: false,
        network: paid.network(),
        payment_hash: paid.payment_hash(),
        amount: paid.amount(),
        max_fee: Amount::ZERO,
        fee: None,
        origin: plain(origin, 300),
        host: plain(host, 255),
        method: plain(method, 32),
        path: plain(path, 1_024),
        dialect: receipt.dialect(),
        description: None,
        budget: None,
        payer: None,
        created_at: receipt.accepted_at(),
        sent_at: None,
        paid_at: Some(receipt.accepted_at()),
        ended_at: None,
        invoice_expires_at: receipt.accepted_at(),
        redeem_until: receipt.valid_until(),
        note: None,
        answered: None,
        request_key: RequestKey::from_bytes([0; 32]),
        tried: Tried::default(),
        invoice: String::new(),
        payable: String::new(),
        preimage: None,
    }))
}
