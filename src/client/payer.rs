//! Which payments the wallet's payer was asked to make: no other payer can say what became of them.

use super::{Wallet, earlier::Recovered, hand::Hand, outcome::Outcome};
use crate::{
    ledger::{Entry, LedgerError},
    trace,
};

const REPLACED: &str = "a person cleared it, and the payer that was asked to pay is not used";

impl Wallet {
    /// Returns whether this wallet's payer was asked to make a payment.
    pub(super) fn was_asked_for(&self, entry: &Entry) -> bool {
        entry.payer() == Some(self.payer().profile().id) && entry.network() == self.network()
    }

    /// Says what becomes of a payment that another payer was asked to make. It may have left there.
    /// If a person cleared it, that payer is gone: the money counts as spent.
    pub(super) async fn leave(&self, hand: &Hand, entry: &Entry) -> Result<Outcome, LedgerError> {
        if entry.is_cleared() {
            hand.unproved(REPLACED).await?;
            return Ok(Outcome::Unproved(REPLACED));
        }
        trace::warn(format_args!(
            "the outcome of payment {} is known to the payer that was asked to make it, and this is another one: use that payer, or clear the payment",
            entry.id()
        ));
        Ok(Outcome::InFlight)
    }

    /// Asks the payer once more for the proof of a payment that it reported without one. Whatever
    /// else it says now, the money counts as spent.
    pub(super) async fn prove(
        &self,
        entry: &Entry,
        recovered: &mut Recovered,
    ) -> Result<(), LedgerError> {
        let is_own = self.was_asked_for(entry);
        match self.look_up(entry.payment_hash()).await {
            Ok(Outcome::Paid(preimage, fee)) if is_own => {
                self.ledger().paid(entry.id(), preimage, fee).await?;
                recovered.paid += 1;
            }
            _ => recovered.unproved += 1,
        }
        Ok(())
    }
}
