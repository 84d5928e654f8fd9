//! The steps of a payment, in their order.

use super::{
    BeginError, Begun, Claim, EntryId, Ledger, LedgerError, NewPayment,
    state::{Later, Step},
};
use crate::payment::{Amount, Preimage};

impl Ledger {
    /// Checks a payment against everything that is known, and reserves its amount and fee limit, in
    /// one step. Once this returns, the payment counts as sent (or as reserved, if it
    /// [is held](NewPayment::is_held)), and this call as at work on it until
    /// [`release`](Self::release).
    ///
    /// If the future is dropped or fails, nothing stays reserved.
    ///
    /// # Errors
    ///
    /// [`BeginError::Refused`] with the reason, and [`BeginError::Ledger`] if the ledger cannot be
    /// written or is full.
    pub async fn begin(&self, payment: NewPayment) -> Result<Begun, BeginError> {
        let id = EntryId::random()?;
        let mut unheard = Unheard {
            ledger: self,
            id: Some(id),
        };
        let begun = self
            .change(move |books, now, changes| books.begin(payment, id, now, changes))
            .await;
        if !matches!(begun, Err(BeginError::Ledger(_))) {
            unheard.id = None;
        }
        begun
    }

    /// Notes that a reserved payment is about to be given to the payer.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if this cannot be written, or if the payment is in a state that does not
    /// allow it. The same holds for the other steps. Here also if the budget was revoked or has
    /// expired meanwhile.
    pub async fn send(&self, id: EntryId) -> Result<(), LedgerError> {
        self.step(id, Step::Send).await
    }

    /// Notes that the payer paid, with the preimage and the fee.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send), and if this is not the preimage of the payment: then use
    /// [`unproved`](Self::unproved).
    pub async fn paid(
        &self,
        id: EntryId,
        preimage: Preimage,
        fee: Amount,
    ) -> Result<(), LedgerError> {
        self.step(id, Step::Paid(preimage, fee, false)).await
    }

    /// Notes the same, and that the credential is presented next.
    ///
    /// # Errors
    ///
    /// As for [`paid`](Self::paid).
    pub async fn paid_and_presented(
        &self,
        id: EntryId,
        preimage: Preimage,
        fee: Amount,
    ) -> Result<(), LedgerError> {
        self.step(id, Step::Paid(preimage, fee, true)).await
    }

    /// Notes that the payer does not know the outcome yet.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn in_flight(&self, id: EntryId) -> Result<(), LedgerError> {
        self.step(id, Step::InFlight).await
    }

    /// Notes that the payment failed for good, and why. Its money is free again.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn failed(&self, id: EntryId, why: &str) -> Result<(), LedgerError> {
        self.step(id, Step::Failed(why.to_owned())).await
    }

    /// Notes that the payer reported a payment without its preimage, or with another one. The
    /// amount and the whole fee limit count as spent. The host is not to blame.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn unproved(&self, id: EntryId, why: &str) -> Result<(), LedgerError> {
        #[cfg(feature = "ledger-durable")]
        self.forget_clearance(id);
        self.step(id, Step::Unproved(why.to_owned())).await
    }

    /// Notes that nobody can say what became of a payment that a person
    /// [cleared](Self::cleared), because its payer is gone. The amount and the whole fee limit
    /// count as spent.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send). Also [`LedgerErrorKind::Conflict`] if nobody cleared it.
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "wallets use it"))]
    pub(crate) async fn given_up(&self, id: EntryId, why: &str) -> Result<(), LedgerError> {
        self.step(id, Step::GivenUp(why.to_owned())).await
    }

    /// Notes that the server refused the paid credential, and why. The host is not paid again until
    /// somebody [clears](Self::cleared) the entry.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn refused(&self, id: EntryId, why: &str) -> Result<(), LedgerError> {
        #[cfg(feature = "ledger-durable")]
        self.forget_clearance(id);
        self.step(id, Step::Refused(why.to_owned())).await
    }

    /// Notes that an entry is no reason any more not to pay its host. Its money counts as before.
    /// Another process can ask for it: see `Ledger::ask_to_clear` (feature `ledger-durable`).
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn cleared(&self, id: EntryId) -> Result<(), LedgerError> {
        self.step(id, Step::Cleared).await
    }

    /// Notes that the server answered the paid request with this status, and that the credential is
    /// used up. The ledger forgets the preimage. Does not wait until it is written: if it is lost,
    /// the credential is presented once more.
    pub fn redeemed(&self, id: EntryId, status: u16) {
        let is_reusable = false;
        self.later(
            id,
            Later::Redeemed {
                status,
                is_reusable,
            },
        );
    }

    /// The same for a credential that can be used again. The ledger keeps its preimage and its
    /// stored challenge, for [`reusable`](Self::reusable), until [`dropped`](Self::dropped).
    pub fn redeemed_reusable(&self, id: EntryId, status: u16) {
        let is_reusable = true;
        self.later(
            id,
            Later::Redeemed {
                status,
                is_reusable,
            },
        );
    }

    /// Notes that the server answered the paid request with this status and that the credential is
    /// still worth something. Does not wait until it is written.
    pub fn answered(&self, id: EntryId, status: u16) {
        self.later(id, Later::Answered(status));
    }

    /// Notes that the paid credential is about to be presented. Does not wait until that is written.
    pub fn presented(&self, id: EntryId) {
        self.later(id, Later::Presented);
    }

    /// Notes that the server refused, with this status, a credential that it may have served before:
    /// an earlier answer was lost, or said that the server failed. The credential is used up. The
    /// third of a host since it last served a paid request is trouble. Does not wait until that is
    /// written.
    pub fn in_doubt(&self, id: EntryId, status: u16) {
        self.later(id, Later::InDoubt(status));
    }

    /// Notes that the server refused the paid credential for a request with these headers, which
    /// are not those that it was bought for. It stays paid, and is no trouble. `was_presented` says
    /// whether it [was presented](super::Entry::is_presented) before. Does not wait until that is written.
    pub fn refused_for(&self, id: EntryId, headers: [u8; 32], was_presented: bool) {
        self.later(
            id,
            Later::RefusedFor {
                headers,
                was_presented,
            },
        );
    }

    /// Forgets a reusable credential. Does not wait until that is written.
    pub fn dropped(&self, id: EntryId) {
        self.later(id, Later::Dropped);
    }

    /// Notes that no call is at work on an entry any more. What was only reserved is free again.
    /// Never blocks, so that it can be called from `drop`.
    pub fn release(&self, id: EntryId) {
        self.later(id, Later::Released);
        self.note_release();
    }

    /// Takes up a payment that has not ended and on which no call of this process is at work, until
    /// [`release`](Self::release). If it is paid, redeem it. If its outcome is not known, ask the
    /// payer, write it down and release it: then the next call can redeem it.
    ///
    /// While a payment is looked up, the same request is not begun. While it is redeemed, the same
    /// request made again is another request.
    ///
    /// It reads and changes memory alone.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if the ledger cannot be read now.
    pub fn claim(&self, id: EntryId) -> Result<Claim, LedgerError> {
        let (mut books, _) = self.books();
        books.whole()?;
        Ok(books.claim(id))
    }

    async fn step(&self, id: EntryId, step: Step) -> Result<(), LedgerError> {
        self.change(move |books, now, changes| books.step(id, step, now, changes))
            .await
    }
}

/// A payment of which the caller has not heard that it was begun.
struct Unheard<'a> {
    ledger: &'a Ledger,
    id: Option<EntryId>,
}

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.ledger.later(id, Later::Abandoned);
        }
    }
}
