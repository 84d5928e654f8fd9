use std::{collections::BTreeMap, io};

use crate::{
    ledger::{BudgetPath, Direction, Entry, EntryState, Ledger, LedgerError, LedgerErrorKind},
    payment::Amount,
};

/// Sums over all entries of a ledger. Each map is in the order of its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Everything.
    pub all: Total,
    /// By registrable domain. Income is under the own host.
    pub by_host: BTreeMap<String, Total>,
    /// By day in UTC, for example `2026-09-21`: the day of the payment, or on which it was begun.
    pub by_day: BTreeMap<String, Total>,
    /// By what the server said that it sells. Entries without a description are left out.
    pub by_description: BTreeMap<String, Total>,
    /// By the budget that paid. Those of budgets below are not included.
    pub by_budget: BTreeMap<BudgetPath, Total>,
}

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

impl Ledger {
    /// Adds up all entries: by host, day, description and budget. Reads them all, so call it for a
    /// report and not for each request.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if the ledger cannot be read now.
    pub fn totals(&self) -> Result<Totals, LedgerError> {
        let mut totals = Totals::default();
        self.each(|entry| {
            totals.add(entry);
            Ok(())
        })
        .map_err(|error: io::Error| LedgerError::new(LedgerErrorKind::Unavailable, error))?;
        Ok(totals)
    }
}

impl Totals {
    fn add(&mut self, entry: &Entry) {
        let counted = Total::of(entry);
        if counted == Total::default() {
            return;
        }
        self.all.add(counted);
        let host = self.by_host.entry(entry.host().to_owned());
        host.or_default().add(counted);
        let moment = entry.paid_at().unwrap_or(entry.created_at()).to_iso_8601();
        let (day, _) = moment.split_once('T').unwrap_or((&moment, ""));
        self.by_day.entry(day.to_owned()).or_default().add(counted);
        if let Some(text) = entry.description() {
            let description = self.by_description.entry(text.to_owned());
            description.or_default().add(counted);
        }
        if let Some(path) = entry.budget() {
            self.by_budget.entry(path.clone()).or_default().add(counted);
        }
    }
}

impl Total {
    fn of(entry: &Entry) -> Self {
        let plus = |fee: Amount| saturating_add(entry.amount(), fee);
        match (entry.direction(), entry.state()) {
            (Direction::Earned, _) => Self {
                payments: 1,
                earned: entry.amount(),
                ..Self::default()
            },
            (_, EntryState::Failed) => Self::default(),
            (_, EntryState::InFlight | EntryState::Reserved | EntryState::Sent) => Self {
                reserved: plus(entry.max_fee()),
                ..Self::default()
            },
            (_, _) => {
                let fees = entry.fee().unwrap_or(entry.max_fee());
                Self {
                    payments: 1,
                    spent: plus(fees),
                    fees,
                    ..Self::default()
                }
            }
        }
    }

    fn add(&mut self, other: Self) {
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
