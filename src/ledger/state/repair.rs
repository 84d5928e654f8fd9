use super::{books::Books, carried::CarriedKey, changes::Changes, forget::DAY};
use crate::{clock::Timestamp, ledger::entry::Record};

impl Books {
    /// Moves every moment after `now` to `now`, which is then the ledger's time. What was spent in
    /// that false future counts in windows as if it had been spent `now`.
    ///
    /// The sums in memory are right after the next load.
    pub(in crate::ledger) fn repair_time(&mut self, now: Timestamp, changes: &mut dyn Changes) {
        let entries = self.entries.values();
        let ahead = entries.filter(|entry| entry.last_moment() > now);
        let ahead: Vec<_> = ahead.map(|entry| Record::clone(entry)).collect();
        for mut entry in ahead {
            entry.created_at = entry.created_at.min(now);
            for moment in [&mut entry.sent_at, &mut entry.paid_at, &mut entry.ended_at] {
                *moment = moment.map(|moment| moment.min(now));
            }
            self.put(entry, changes);
        }
        let carried = self.carried.iter();
        let ahead = carried.filter(|(_, carried)| carried.latest > now);
        let ahead: Vec<_> = ahead.map(|(key, _)| key.clone()).collect();
        for key in ahead {
            if let Some(mut carried) = self.carried.remove(&key) {
                changes.carried(&key, Some(&carried), None);
                carried.latest = now;
                carried.spent_at = carried.spent_at.min(now);
                let day = key.day.min(now.as_unix_seconds() / DAY);
                self.carry(CarriedKey { day, ..key }, &carried, changes);
            }
        }
        let budgets: Vec<_> = self.budgets.paths().cloned().collect();
        for path in budgets {
            let Some(held) = self.budgets.get(&path) else {
                continue;
            };
            let mut record = held.clone();
            record.created_at = record.created_at.min(now);
            record.revoked_at = record.revoked_at.map(|moment| moment.min(now));
            if record != *held {
                self.put_budget(&path, record, changes);
            }
        }
        self.set_latest(now);
    }
}
