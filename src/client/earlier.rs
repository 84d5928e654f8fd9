//! What was paid before, and not redeemed: found again, also after a restart.

use tokio::time::{Instant, timeout_at};

use super::{
    Wallet,
    bought::{Bought, IfRefused},
    error::Cause,
    hand::Hand,
    job::Job,
    offers::half,
    outcome::{GRACE, LOOKUP_TIME, Outcome},
    receipt::{Paid, PaidReceipt},
};
use crate::dialect::{HeaderLine, offer::Purchase};
use crate::ledger::{Claim, Entry, EntryId, EntryState, LedgerError};

/// What the ledger holds for a request.
enum Found {
    /// It was paid, and is taken up.
    Bought(Box<Bought>),
    /// Another call asks the payer about it.
    LookedUp(Entry),
    /// Nothing that this request can use.
    Nothing,
    /// It was sent, and is taken up.
    Unresolved(Entry, Hand),
}

/// What the ledger's challenge is worth for a request.
enum Restored {
    /// It was bought for another request, or nobody can use it any more.
    Elsewhere,
    Purchase(Box<dyn Purchase>),
    /// The request has the credential's header already, or its dialect is not compiled in.
    Unusable,
}

impl Wallet {
    /// Returns what was paid for this request before, ready to be presented. Asks the payer about a
    /// payment whose outcome is not known.
    pub(super) async fn earlier<E>(&self, job: &Job) -> Result<Option<Bought>, Cause<E>> {
        // Such a request is never paid for, so nothing was bought for it.
        if !job.is_kept() {
            return Ok(None);
        }
        // Most calls need no look at the ledger's payments, so their futures stay small.
        if !self.ledger().has_unended().map_err(Cause::Ledger)? {
            return Ok(None);
        }
        Box::pin(self.take_up(job)).await
    }

    async fn take_up<E>(&self, job: &Job) -> Result<Option<Bought>, Cause<E>> {
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
                Found::Nothing => return Ok(None),
                // It was paid meanwhile.
                Found::Unresolved(entry, _) if entry.state() == EntryState::Paid => {}
                Found::Unresolved(entry, hand) => {
                    let resolved = self.resolve(&hand, &entry).await;
                    let resolved = resolved.map_err(Cause::Ledger)?;
                    if matches!(resolved.outcome, Outcome::InFlight | Outcome::Unknown) {
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
            if entry.state() == EntryState::Paid {
                if let Restored::Purchase(purchase) = self.restored(&entry, job)
                    && let Claim::Taken(entry) = self.ledger().claim(entry.id())?
                {
                    let hand = self.hand(entry.id());
                    if let Some(bought) = self.bought(&entry, &*purchase, hand, job) {
                        return Ok(Found::Bought(Box::new(bought)));
                    }
                }
                continue;
            }
            match self.ledger().claim(entry.id())? {
                Claim::Taken(entry) => {
                    let hand = self.hand(entry.id());
                    return Ok(Found::Unresolved(entry, hand));
                }
                Claim::LookedUp => looked_up = Some(entry),
                Claim::NotFree => {}
            }
        }
        Ok(looked_up.map_or(Found::Nothing, Found::LookedUp))
    }

    /// Returns the payments for the same URL and body that were bought for other requests.
    pub(super) fn others(&self, job: &Job) -> Result<Vec<EntryId>, LedgerError> {
        let is_other = |entry: &Entry| {
            let is_paid = entry.state() == EntryState::Paid;
            is_paid && matches!(self.restored(entry, job), Restored::Elsewhere)
        };
        let entries = self.ledger().find(&job.key())?.into_iter();
        Ok(entries.filter(is_other).map(|entry| entry.id()).collect())
    }

    /// Reads what was bought, for this request.
    fn restored(&self, entry: &Entry, job: &Job) -> Restored {
        if entry.is_no_use_for(&job.headers_digest()) {
            return Restored::Elsewhere;
        }
        let restore = half(&entry.dialect()).map(|half| half.restore);
        let purchase = restore.and_then(|restore| restore(entry.payable()).ok());
        if let Some(purchase) = &purchase
            && !purchase.is_for(&job.as_request())
        {
            return Restored::Elsewhere;
        }
        let header = purchase
            .as_ref()
            .and_then(|purchase| purchase.credential(entry.preimage()?));
        // A header of the caller's own is not replaced.
        let is_free = |(name, _): &HeaderLine| !job.headers.contains_key(name);
        match purchase {
            Some(purchase) if header.as_ref().is_some_and(is_free) => Restored::Purchase(purchase),
            // Whoever could have used it has had the time to.
            _ if self.is_over(entry) => Restored::Elsewhere,
            _ => Restored::Unusable,
        }
    }

    fn is_over(&self, entry: &Entry) -> bool {
        self.now() >= entry.redeem_until()
    }

    /// Makes the credential of a payment that the ledger holds.
    fn bought(
        &self,
        entry: &Entry,
        purchase: &dyn Purchase,
        hand: Hand,
        job: &Job,
    ) -> Option<Bought> {
        let paid = (entry.fee(), entry.paid_at().unwrap_or(entry.created_at()));
        let was_tried = entry.is_presented() || entry.answered().is_some();
        let headers = job.headers_digest();
        let is_same = *entry.headers() == headers || purchase.compares_headers();
        let if_refused = match (self.is_over(entry), is_same, was_tried) {
            (true, ..) => IfRefused::Over,
            (_, false, _) => IfRefused::OtherHeaders(headers, entry.is_presented()),
            (_, _, true) => IfRefused::InDoubt,
            (_, _, false) => IfRefused::Trouble,
        };
        Bought::new(purchase, entry.preimage()?, paid, hand, Some(if_refused))
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
