//! Which outermost budgets the wallets of this process have.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

use super::{Budget, BudgetPath, LedgerError, LedgerErrorKind};
use crate::lock::lock;

/// The limits of outermost budgets, each as long as somebody uses it.
#[derive(Default)]
pub(super) struct Roots(Mutex<HashMap<BudgetPath, (Weak<RootInUse>, Budget)>>);

/// The use of an outermost budget by the wallets of this process, until it is dropped.
#[derive(Debug)]
pub(crate) struct RootInUse(());

impl Roots {
    pub(super) fn take(
        &self,
        path: &BudgetPath,
        limits: &Budget,
    ) -> Result<Arc<RootInUse>, LedgerError> {
        let mut roots = lock(&self.0);
        roots.retain(|_, (in_use, _)| in_use.strong_count() > 0);
        let held = roots.get(path);
        if let Some((in_use, held)) = held.and_then(|(weak, held)| Some((weak.upgrade()?, held))) {
            if held == limits {
                return Ok(in_use);
            }
            let why = format!(
                "another wallet of this process has the budget {path} with other limits: use the same limits, another name, or a child of that wallet"
            );
            return Err(LedgerError::new(LedgerErrorKind::Conflict, why));
        }
        let in_use = Arc::new(RootInUse(()));
        roots.insert(path.clone(), (Arc::downgrade(&in_use), limits.clone()));
        Ok(in_use)
    }

    /// Notes that a person set other limits.
    pub(super) fn note(&self, path: &BudgetPath, limits: Budget) {
        if let Some((_, held)) = lock(&self.0).get_mut(path) {
            *held = limits;
        }
    }
}
