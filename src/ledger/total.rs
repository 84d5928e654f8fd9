use super::{EntryState, entry::Record};
use crate::payment::Amount;

/// A sum over entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Total {
    /// How many payments were made or came in.
    pub payments: u64,
    /// What was spent, with fees.
    pub spent: Amount,
    /// The part of it that was fees.
    pub fees: Amount,
    /// What is reserved for payments that have not ended, with their fee limits.
    pub reserved: Amount,
    /// What came in.
    pub earned: Amount,
}

impl Total {
    pub(super) fn of(entry: &Record) -> Self {
        let plus = |fee: Amount| saturating_add(entry.amount, fee);
        match entry.state {
            EntryState::Earned => Self {
                payments: 1,
                earned: entry.amount,
                ..Self::default()
            },
            EntryState::Failed => Self::default(),
            EntryState::InFlight | EntryState::Reserved | EntryState::Sent => Self {
                reserved: plus(entry.max_fee),
                ..Self::default()
            },
            EntryState::Paid
            | EntryState::Redeemed
            | EntryState::Refused
            | EntryState::Unproved => {
                let fees = entry.fee.unwrap_or(entry.max_fee);
                Self {
                    payments: 1,
                    spent: plus(fees),
                    fees,
                    ..Self::default()
                }
            }
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.payments += other.payments;
        self.spent = saturating_add(self.spent, other.spent);
        self.fees = saturating_add(self.fees, other.fees);
        self.reserved = saturating_add(self.reserved, other.reserved);
        self.earned = saturating_add(self.earned, other.earned);
    }
}

fn saturating_add(one: Amount, other: Amount) -> Amount {
    one.checked_add(other)
        .unwrap_or(Amount::from_msat(u64::MAX))
}
