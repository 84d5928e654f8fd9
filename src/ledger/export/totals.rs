use std::{collections::BTreeMap, io};

use crate::{
    clock::Timestamp,
    ledger::{
        BudgetPath, Entry, Ledger, LedgerError, LedgerErrorKind, Total,
        state::{CarriedKey, DAY},
    },
};

/// Sums over all entries of a ledger. Each map is in the order of its keys. Those that were
/// [forgotten](Ledger::forget_before) are left out by description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Everything.
    pub all: Total,
    /// By registrable domain. Income is under the own host.
    pub by_host: BTreeMap<String, Total>,
    /// By day in UTC, for example `2026-09-21`: the day of the payment, or on which it was begun if
    /// it has not ended.
    pub by_day: BTreeMap<String, Total>,
    /// By what the server said that it sells. Entries without a description are left out.
    pub by_description: BTreeMap<String, Total>,
    /// By the budget that paid. Those of budgets below are not included.
    pub by_budget: BTreeMap<BudgetPath, Total>,
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
        for (key, total) in self.carried()? {
            totals.add_carried(key, total);
        }
        self.each(|entry| {
            totals.add(entry);
            Ok(())
        })
        .map_err(|error: io::Error| LedgerError::new(LedgerErrorKind::Unavailable, error))?;
        Ok(totals)
    }
}

impl Totals {
    fn add_carried(&mut self, key: CarriedKey, total: Total) {
        self.all.add(total);
        self.by_host.entry(key.host).or_default().add(total);
        let midnight = Timestamp::from_unix_seconds(key.day.saturating_mul(DAY));
        self.by_day.entry(day(midnight)).or_default().add(total);
        if let Some(path) = key.budget {
            self.by_budget.entry(path).or_default().add(total);
        }
    }

    fn add(&mut self, entry: &Entry) {
        let counted = Total::of(&entry.0);
        if counted == Total::default() {
            return;
        }
        self.all.add(counted);
        let host = self.by_host.entry(entry.host().to_owned());
        host.or_default().add(counted);
        let day = day(entry.0.spent_at());
        self.by_day.entry(day).or_default().add(counted);
        if let Some(text) = entry.description() {
            let description = self.by_description.entry(text.to_owned());
            description.or_default().add(counted);
        }
        if let Some(path) = entry.budget() {
            self.by_budget.entry(path.clone()).or_default().add(counted);
        }
    }
}

/// Returns the day of a moment in UTC.
fn day(moment: Timestamp) -> String {
    let mut text = moment.to_iso_8601();
    text.truncate(text.find('T').unwrap_or(text.len()));
    text
}
