//! What was paid before, and not redeemed: found again, also after a restart.

use tokio::time::{Instant, timeout_at};

use super::{
    Wallet,
    bought::Bought,
    error::Cause,
    hand::Hand,
    job::Job,
    offers::half,
    outcome::{GRACE, LOOKUP_TIME, Outcome},
    receipt::{Paid, PaidReceipt},
};
use crate::ledger::{Claim, Entry, EntryState, LedgerError};

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

/// What the ledger holds for a request.
enum Found {
    /// It was paid, and is taken up.
    Bought(Box<Bought>),
    /// Another call asks the payer about it.
    LookedUp(Entry),
    None,
    /// It was sent, and is taken up.
    Unresolved(Entry, Hand),
}

impl Wallet {
    /// Returns what was paid for this request before, ready to be presented. Asks the payer about a
    /// payment whose outcome is not known.
    pub(super) async fn earlier<E>(&self, job: &Job) -> Result<Option<Bought>, Cause<E>> {
        let until = Instant::now() + LOOKUP_TIME + GRACE;
        // Each turn ends one entry of this request, or waits until another call did.
        loop {
            let released = self.ledger().released();
            let found = self.find(job).map_err(Cause::Ledger)?;
            match found {
                Found::Bought(bought) => return Ok(Some(*bought)),
                Found::LookedUp(entry) => {
                    if timeout_at(until, released).await.is_err() {
                        return Err(Cause::InFlight(receipt(&entry)));
                    }
                }
                Found::None => return Ok(None),
                Found::Unresolved(entry, hand) => {
                    let asked = (entry.payment_hash(), entry.invoice_expires_at());
                    let outcome = self.resolve(&hand, asked).await.map_err(Cause::Ledger)?;
                    if matches!(outcome, Outcome::InFlight | Outcome::Unknown) {
                        return Err(Cause::InFlight(receipt(&entry)));
                    }
                }
            }
        }
    }

    /// Takes up a payment for this request. A paid one comes first.
    fn find(&self, job: &Job) -> Result<Found, LedgerError> {
        let mut entries = self.ledger().find(&job.key())?;
        entries.sort_by_key(|entry| entry.state() != EntryState::Paid);
        let mut looked_up = None;
        for entry in entries {
            match self.ledger().claim(entry.id())? {
                Claim::Taken(entry) => {
                    let hand = self.hand(entry.id());
                    if entry.state() != EntryState::Paid {
                        return Ok(Found::Unresolved(entry, hand));
                    }
                    if let Some(bought) = self.restored(&entry, hand, job) {
                        return Ok(Found::Bought(Box::new(bought)));
                    }
                }
                Claim::LookedUp => looked_up = Some(entry),
                Claim::NotFree => {}
            }
        }
        Ok(looked_up.map_or(Found::None, Found::LookedUp))
    }

    /// Asks the payer about every payment that was sent by an earlier process, or whose call was
    /// given up, and writes down what became of it.
    ///
    /// The first payment of a wallet does the same.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if the ledger cannot be read or written.
    pub async fn recover(&self) -> Result<Recovered, LedgerError> {
        let mut recovered = Recovered::default();
        for entry in self.ledger().unresolved()? {
            self.recover_one(&entry, &mut recovered).await?;
        }
        Ok(recovered)
    }

    pub(super) async fn recover_one(
        &self,
        entry: &Entry,
        recovered: &mut Recovered,
    ) -> Result<(), LedgerError> {
        let Claim::Taken(entry) = self.ledger().claim(entry.id())? else {
            return Ok(());
        };
        let hand = self.hand(entry.id());
        let asked = (entry.payment_hash(), entry.invoice_expires_at());
        let count = match self.resolve(&hand, asked).await? {
            Outcome::Failed(_) => &mut recovered.failed,
            Outcome::InFlight | Outcome::Unknown => &mut recovered.unresolved,
            Outcome::Paid(..) => &mut recovered.paid,
            Outcome::Unproved(_) => &mut recovered.unproved,
        };
        *count += 1;
        Ok(())
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
