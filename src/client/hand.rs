//! The ledger's entry on which a call is at work.

use http::StatusCode;

use crate::{
    ledger::{EntryId, Ledger, LedgerError},
    payment::{Amount, Preimage},
};

/// An entry of the ledger in the hands of one call. Dropping it lets others take it up: what was
/// only reserved is free again, and what was sent is looked up by the next such request.
#[derive(Debug)]
#[must_use = "dropping it lets another call take the payment up"]
pub(super) struct Hand {
    ledger: Ledger,
    id: EntryId,
}

impl Hand {
    pub(super) const fn new(ledger: Ledger, id: EntryId) -> Self {
        Self { ledger, id }
    }

    pub(super) const fn id(&self) -> EntryId {
        self.id
    }

    pub(super) async fn send(&self) -> Result<(), LedgerError> {
        self.ledger.send(self.id).await
    }

    pub(super) async fn paid(&self, preimage: &Preimage, fee: Amount) -> Result<(), LedgerError> {
        self.ledger.paid(self.id, preimage.clone(), fee).await
    }

    /// Notes that it was paid, and that this call presents it next.
    pub(super) async fn paid_and_presented(
        &self,
        preimage: &Preimage,
        fee: Amount,
    ) -> Result<(), LedgerError> {
        let ledger = &self.ledger;
        ledger
            .paid_and_presented(self.id, preimage.clone(), fee)
            .await
    }

    pub(super) async fn in_flight(&self) -> Result<(), LedgerError> {
        self.ledger.in_flight(self.id).await
    }

    pub(super) async fn failed(&self, why: &str) -> Result<(), LedgerError> {
        self.ledger.failed(self.id, why).await
    }

    pub(super) async fn unproved(&self, why: &str) -> Result<(), LedgerError> {
        self.ledger.unproved(self.id, why).await
    }

    pub(super) async fn given_up(&self, why: &str) -> Result<(), LedgerError> {
        self.ledger.given_up(self.id, why).await
    }

    pub(super) async fn refused(&self, status: StatusCode) -> Result<(), LedgerError> {
        let why = format!(
            "the server answered {} to the paid credential",
            status.as_u16()
        );
        self.ledger.refused(self.id, &why).await
    }

    pub(super) fn presented(&self) {
        self.ledger.presented(self.id);
    }

    pub(super) fn in_doubt(&self, status: StatusCode) {
        self.ledger.in_doubt(self.id, status.as_u16());
    }

    pub(super) fn refused_for(&self, headers: [u8; 32], was_presented: bool) {
        self.ledger.refused_for(self.id, headers, was_presented);
    }

    pub(super) fn answered(&self, status: StatusCode) {
        self.ledger.answered(self.id, status.as_u16());
    }

    pub(super) fn redeemed(&self, status: StatusCode, is_reusable: bool) {
        if is_reusable {
            self.ledger.redeemed_reusable(self.id, status.as_u16());
        } else {
            self.ledger.redeemed(self.id, status.as_u16());
        }
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.ledger.release(self.id);
    }
}
