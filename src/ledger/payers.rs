//! Which payers the wallets of this process have.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

use crate::{lock::lock, payment::PayerId};

/// The payers that are in use, each as long as a wallet has it.
#[derive(Default)]
pub(super) struct Payers(Mutex<HashMap<PayerId, Weak<PayerInUse>>>);

/// The use of a payer by the wallets of this process, until it is dropped.
#[derive(Debug)]
pub(crate) struct PayerInUse(());

impl Payers {
    /// Notes that a wallet has a payer.
    pub(super) fn take(&self, payer: PayerId) -> Arc<PayerInUse> {
        let mut payers = lock(&self.0);
        payers.retain(|_, in_use| in_use.strong_count() > 0);
        let held = payers.get(&payer).and_then(Weak::upgrade);
        held.unwrap_or_else(|| {
            let in_use = Arc::new(PayerInUse(()));
            payers.insert(payer, Arc::downgrade(&in_use));
            in_use
        })
    }

    pub(super) fn has(&self, payer: PayerId) -> bool {
        let payers = lock(&self.0);
        payers
            .get(&payer)
            .is_some_and(|in_use| in_use.strong_count() > 0)
    }
}
