use std::{collections::BTreeMap, sync::Mutex};

use super::{
    parked::{ApprovalId, Parked},
    shelf::{Decision, Shelf},
};
use crate::{ledger::LedgerError, lock::lock};

/// Parked payments that are gone with the process.
#[derive(Default)]
pub(super) struct MemoryShelf(Mutex<BTreeMap<(ApprovalId, Decision), Parked>>);

impl Shelf for MemoryShelf {
    fn all(&self) -> Result<Vec<(Parked, Decision)>, LedgerError> {
        let held = lock(&self.0);
        let all = held
            .iter()
            .map(|((_, decision), parked)| (parked.clone(), *decision));
        Ok(all.collect())
    }

    fn keep(&self, parked: &Parked) -> Result<(), LedgerError> {
        lock(&self.0).insert((parked.id, Decision::Pending), parked.clone());
        Ok(())
    }

    fn change(
        &self,
        id: ApprovalId,
        from: Decision,
        to: Option<Decision>,
    ) -> Result<bool, LedgerError> {
        let mut held = lock(&self.0);
        let Some(parked) = held.remove(&(id, from)) else {
            return Ok(false);
        };
        if let Some(to) = to {
            held.insert((id, to), parked);
        }
        Ok(true)
    }
}
