//! What was paid before, and not redeemed: found again, also after a restart.

use super::{
    Wallet,
    bought::Bought,
    error::Cause,
    hand::Hand,
    job::Job,
    offers::half,
    outcome::Outcome,
    receipt::{Paid, PaidReceipt},
};
use crate::ledger::{Entry, EntryState, LedgerError};

/// What [`Wallet::recover`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Payments that were paid. The next such request redeems each.
    pub paid: usize,
    /// Payments that failed. Their money is free again.
    pub failed: usize,
    /// Payments whose outcome is still not known. Their money stays reserved.
    pub unresolved: usize,
    /// Payments that the payer reported and cannot prove. Their money counts as spent.
    pub unproved: usize,
}

impl Wallet {
    /// Returns what was paid for this request before, ready to be presented. Asks the payer about a
    /// payment whose outcome is not known.
    pub(super) async fn earlier<E>(&self, job: &Job) -> Result<Option<Bought>, Cause<E>> {
        // Each turn ends one entry of this request.
        while let Some(entry) = self.ledger().claim(&job.key()).map_err(Cause::Ledger)? {
            let hand = self.hand(entry.id());
            if entry.state() == EntryState::Paid {
                return Ok(self.restored(&entry, hand, job));
            }
            match self.resolve(&hand, &entry).await.map_err(Cause::Ledger)? {
                Outcome::Paid(..) | Outcome::Failed(_) | Outcome::Unproved(_) => {}
                Outcome::InFlight | Outcome::Unknown => {
                    return Err(Cause::InFlight(receipt(&entry)));
                }
            }
        }
        Ok(None)
    }

    /// Asks the payer about every payment that was sent by an earlier process, or whose call was
    /// given up, and for the proof of those that it could not prove. Writes down what became of
    /// each.
    ///
    /// The first payment of a wallet does the same.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if the ledger cannot be read or written.
    pub async fn recover(&self) -> Result<Recovered, LedgerError> {
        let mut recovered = Recovered::default();
        let unproved = self.ledger().unproved_by(self.payer().profile().id)?;
        for entry in self.ledger().unresolved()?.iter().chain(&unproved) {
            self.recover_one(entry, &mut recovered).await?;
        }
        Ok(recovered)
    }

    pub(super) async fn recover_one(
        &self,
        entry: &Entry,
        recovered: &mut Recovered,
    ) -> Result<(), LedgerError> {
        if entry.state() == EntryState::Unproved {
            return self.prove(entry, recovered).await;
        }
        let Some(hand) = self.claim(entry)? else {
            return Ok(());
        };
        let count = match self.resolve(&hand, entry).await? {
            Outcome::Failed(_) => &mut recovered.failed,
            Outcome::InFlight | Outcome::Unknown => &mut recovered.unresolved,
            Outcome::Paid(..) => &mut recovered.paid,
            Outcome::Unproved(_) => &mut recovered.unproved,
        };
        *count += 1;
        Ok(())
    }

    /// Takes an entry into the hands of this call. `None` if another call is at work on it.
    fn claim(&self, entry: &Entry) -> Result<Option<Hand>, LedgerError> {
        // The ledger hands out the payments of a request in an order of its own.
        let mut others = Vec::new();
        while let Some(claimed) = self.ledger().claim(&entry.request_key())? {
            let hand = self.hand(claimed.id());
            if claimed.id() == entry.id() {
                return Ok(Some(hand));
            }
            others.push(hand);
        }
        Ok(None)
    }

    /// Makes the credential of a payment that the ledger holds. `None` if it was bought with other
    /// headers, if the request has the credential's header already, or in a dialect that is not compiled in.
    fn restored(&self, entry: &Entry, hand: Hand, job: &Job) -> Option<Bought> {
        let purchase = (half(&entry.dialect())?.restore)(entry.payable()).ok()?;
        purchase.is_for(&job.as_request()).then_some(())?;
        let paid = (entry.fee(), entry.paid_at().unwrap_or(entry.created_at()));
        let is_over = self.now() >= entry.redeem_until();
        let earlier = Some((entry.answered(), is_over));
        let bought = Bought::new(&*purchase, entry.preimage()?, paid, hand, earlier)?;
        // A header of the caller's own is not replaced.
        let is_free = !job.head.headers.contains_key(&bought.header.0);
        is_free.then_some(bought)
    }
}

fn receipt(entry: &Entry) -> PaidReceipt {
    PaidReceipt::new(Paid {
        entry: entry.id(),
        amount: entry.amount(),
        fee: entry.fee(),
        dialect: entry.dialect(),
        payment_hash: entry.payment_hash(),
        paid_at: entry.sent_at().unwrap_or(entry.created_at()),
        is_earlier: true,
    })
}
