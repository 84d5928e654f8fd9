//! Which payers the wallets of this process have.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

use super::Ledger;
use crate::{lock::lock, payment::PayerId};

/// The payers that are in use, each as long as a wallet has it.
#[derive(Default)]
pub(super) struct Payers(Mutex<HashMap<PayerId, Weak<PayerInUse>>>);

/// The use of a payer by the wallets of this process, until it is dropped.
#[derive(Debug)]
pub(crate) struct PayerInUse(());

#[cfg_attr(not(feature = "client"), allow(dead_code, reason = "wallets use it"))]
impl Ledger {
    /// Notes that a wallet has a payer.
    pub(crate) fn use_payer(&self, payer: PayerId) -> Arc<PayerInUse> {
        let mut payers = lock(&self.payers().0);
        payers.retain(|_, in_use| in_use.strong_count() > 0);
        payers
            .get(&payer)
            .and_then(Weak::upgrade)
            .unwrap_or_else(|| {
                let in_use = Arc::new(PayerInUse(()));
                payers.insert(payer, Arc::downgrade(&in_use));
                in_use
            })
    }

    /// Returns whether a wallet of this process has a payer.
    pub(crate) fn has_payer(&self, payer: PayerId) -> bool {
        let payers = lock(&self.payers().0);
        payers
            .get(&payer)
            .is_some_and(|in_use| in_use.strong_count() > 0)
    }
}
