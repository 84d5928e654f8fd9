//! Which payments the wallet's payer was asked to make: no other payer can say what became of them.

use super::{
    Wallet,
    hand::Hand,
    outcome::{NO_PREIMAGE, Outcome, Resolved, is_reached},
};
use crate::{
    ledger::{Entry, EntryId, LedgerError},
    trace,
};

const REPLACED: &str = "a person cleared it, and the payer that was asked to pay is not used";

impl Wallet {
    /// Clears those of these entries that a person asked to clear from another process.
    pub(super) async fn clear_as_asked(&self, entries: &[EntryId]) -> Result<(), LedgerError> {
        #[cfg(feature = "ledger-durable")]
        self.ledger().clear_as_asked(entries).await?;
        #[cfg(not(feature = "ledger-durable"))]
        let _ = entries;
        Ok(())
    }

    /// Returns whether this wallet's payer was asked to make a payment.
    pub(super) fn was_asked_for(&self, entry: &Entry) -> bool {
        entry.payer() == Some(self.payer().profile().id) && entry.network() == self.network()
    }

    /// Says what becomes of a payment that another payer was asked to make. It may have left there.
    /// If a person cleared it, and no wallet of this process has that payer, it is gone: the money
    /// counts as spent.
    pub(super) async fn leave(&self, hand: &Hand, entry: &Entry) -> Result<Resolved, LedgerError> {
        self.clear_as_asked(&[entry.id()]).await?;
        let now = self.ledger().entry(entry.id())?;
        let is_gone = entry
            .payer()
            .is_none_or(|payer| !self.ledger().has_payer(payer));
        let outcome = if is_gone && now.is_some_and(|entry| entry.is_cleared()) {
            hand.given_up(REPLACED).await?;
            Outcome::Unproved(REPLACED)
        } else {
            trace::warn(format_args!(
                "the outcome of payment {} is known to the payer that was asked to make it, and this is another one: use that payer, or clear the payment",
                entry.id()
            ));
            Outcome::InFlight
        };
        Ok(Resolved {
            outcome,
            is_reached: true,
        })
    }

    /// Asks the payer once more for the proof of a payment that it reported without one. Whatever
    /// else it says now, the money counts as spent.
    pub(super) async fn prove(&self, entry: &Entry) -> Result<Resolved, LedgerError> {
        if !self.was_asked_for(entry) {
            let outcome = Outcome::Unproved(REPLACED);
            return Ok(Resolved {
                outcome,
                is_reached: true,
            });
        }
        let found = self.look_up(entry.payment_hash()).await;
        let is_reached = is_reached(&found);
        let outcome = match found {
            Ok(Outcome::Paid(preimage, fee)) => {
                let proof = preimage.clone();
                self.ledger().paid(entry.id(), proof, fee).await?;
                Outcome::Paid(preimage, fee)
            }
            _ => Outcome::Unproved(NO_PREIMAGE),
        };
        Ok(Resolved {
            outcome,
            is_reached,
        })
    }
}
