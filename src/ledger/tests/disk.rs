//! A disk in memory, from which the books can be loaded again at any time.

use std::collections::HashMap;

use crate::{
    clock::Timestamp,
    ledger::{
        BudgetPath, EntryId,
        entry::Record,
        state::{Books, BudgetRecord, Carried, CarriedKey, Changes},
    },
};

#[derive(Default)]
pub(super) struct Disk {
    entries: HashMap<EntryId, Record>,
    budgets: HashMap<BudgetPath, BudgetRecord>,
    carried: HashMap<CarriedKey, Carried>,
}

impl Disk {
    /// The books that another process would have.
    pub(super) fn load(&self) -> Books {
        let mut books = Books::new(1_000_000);
        books.clear();
        for (path, budget) in &self.budgets {
            books.load_budget(path, budget.clone());
        }
        for (key, carried) in &self.carried {
            books.load_carried(key.clone(), *carried);
        }
        for entry in self.entries.values() {
            books.load_entry(entry.clone());
        }
        books.loaded();
        books
    }
}

/// What was there before must be what was written last: the journal's checksum depends on it.
impl Changes for Disk {
    fn entry(&mut self, old: Option<&Record>, new: &Record) {
        assert!(
            old == self.entries.get(&new.id),
            "another record is on the disk"
        );
        self.entries.insert(new.id, new.clone());
    }

    fn forgotten(&mut self, old: &Record) {
        assert!(self.entries.remove(&old.id).as_ref() == Some(old));
    }

    fn carried(&mut self, key: &CarriedKey, old: Option<&Carried>, new: Option<&Carried>) {
        assert_eq!(old, self.carried.get(key));
        match new {
            Some(new) => self.carried.insert(key.clone(), *new),
            None => self.carried.remove(key),
        };
    }

    fn budget(
        &mut self,
        path: &BudgetPath,
        old: Option<&BudgetRecord>,
        new: Option<&BudgetRecord>,
    ) {
        assert_eq!(old, self.budgets.get(path));
        match new {
            Some(new) => self.budgets.insert(path.clone(), new.clone()),
            None => self.budgets.remove(path),
        };
    }
}

/// Another process starts: all that was written is loaded, and what was only reserved is free.
pub(super) fn restarted(disk: &mut Disk, clock: Timestamp) -> Books {
    let mut books = disk.load();
    let now = books.time(clock);
    books.release_reserved(now, disk);
    books
}
