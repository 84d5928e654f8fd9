use crate::{
    clock::Timestamp,
    ledger::{EntryState, entry::Record},
    payment::Amount,
};

/// How an entry counts against its budgets, in msat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Nothing,
    /// Money that may leave, or has left unnoticed.
    Reserved(u128),
    /// Money that left, and when it was known at the latest.
    Spent(u128, Timestamp),
}

/// Sums of what entries count for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) spent: u128,
    pub(super) reserved: u128,
}

impl Counted {
    pub(super) fn of(entry: &Record) -> Self {
        let with = |fee: Amount| u128::from(entry.amount.as_msat()) + u128::from(fee.as_msat());
        match entry.state {
            EntryState::Earned | EntryState::Failed => Self::Nothing,
            EntryState::InFlight | EntryState::Reserved | EntryState::Sent => {
                Self::Reserved(with(entry.max_fee))
            }
            EntryState::Paid
            | EntryState::Redeemed
            | EntryState::Refused
            | EntryState::Unproved => {
                Self::Spent(with(entry.fee.unwrap_or(entry.max_fee)), entry.spent_at())
            }
        }
    }
}

impl Record {
    /// Returns from when on its money counts as spent.
    pub(in crate::ledger) fn spent_at(&self) -> Timestamp {
        self.paid_at.or(self.ended_at).unwrap_or(self.created_at)
    }
}

impl Sum {
    pub(super) fn add(&mut self, counted: Counted) {
        match counted {
            Counted::Nothing => {}
            Counted::Reserved(msat) => self.reserved += msat,
            Counted::Spent(msat, _) => self.spent += msat,
        }
    }

    pub(super) fn remove(&mut self, counted: Counted) {
        match counted {
            Counted::Nothing => {}
            Counted::Reserved(msat) => self.reserved -= msat,
            Counted::Spent(msat, _) => self.spent -= msat,
        }
    }
}

/// Returns a sum as an amount. No limit is above the greatest amount.
pub(super) fn amount(msat: u128) -> Amount {
    Amount::from_msat(msat.try_into().unwrap_or(u64::MAX))
}
