use std::{
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::recent::Recent;
use crate::payment::PaymentHash;

/// How many payments are remembered. Of others the store is asked.
const REMEMBERED: usize = 65_536;

/// Uses that are gone for good: this process was granted them and can give them back no more. A payment that is known to be
/// used up needs neither memory for its body, nor a price, nor a permit of the inner service, nor the store.
///
/// That the store once said `Spent` is not remembered: another process may still give back the use.
#[derive(Debug)]
pub(super) struct Spent {
    uses: Mutex<Recent<PaymentHash, u32>>,
}

impl Default for Spent {
    fn default() -> Self {
        Self { uses: Mutex::new(Recent::new(REMEMBERED)) }
    }
}

impl Spent {
    /// A granted use ended and was not given back.
    pub(super) fn add(&self, payment_hash: PaymentHash) {
        let mut recent = self.lock();
        let uses = recent.entry(payment_hash);
        *uses = uses.saturating_add(1);
    }

    /// Whether a payment that is good for so many uses has none left, whatever the store would answer now.
    pub(super) fn is_used_up(&self, payment_hash: PaymentHash, uses: NonZeroU32) -> bool {
        self.lock().get(&payment_hash).is_some_and(|gone| *gone >= uses.get())
    }

    fn lock(&self) -> MutexGuard<'_, Recent<PaymentHash, u32>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
