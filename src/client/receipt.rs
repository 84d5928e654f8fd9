use std::{fmt, sync::Arc};

use crate::{
    clock::Timestamp,
    ledger::EntryId,
    payment::{Amount, DialectName, PaymentHash},
};

/// What was paid for a request. It is in the extensions of the response, and in the
/// [`PayError`](super::PayError) of a request that failed after a payment.
///
/// It holds no secret. Clones share one allocation.
#[derive(Clone)]
pub struct PaidReceipt(Arc<Paid>);

pub(super) struct Paid {
    pub(super) entry: EntryId,
    pub(super) amount: Amount,
    pub(super) fee: Option<Amount>,
    pub(super) dialect: DialectName,
    pub(super) payment_hash: PaymentHash,
    pub(super) paid_at: Timestamp,
    pub(super) is_earlier: bool,
}

impl PaidReceipt {
    pub(super) fn new(paid: Paid) -> Self {
        Self(Arc::new(paid))
    }

    /// Returns the name of the ledger's entry.
    #[must_use]
    pub fn entry(&self) -> EntryId {
        self.0.entry
    }

    /// Returns the amount that was paid, without the routing fee.
    #[must_use]
    pub fn amount(&self) -> Amount {
        self.0.amount
    }

    /// Returns the routing fee, if it is known.
    #[must_use]
    pub fn fee(&self) -> Option<Amount> {
        self.0.fee
    }

    /// Returns the dialect of the challenge.
    #[must_use]
    pub fn dialect(&self) -> DialectName {
        self.0.dialect
    }

    /// Returns the hash that identifies the payment.
    #[must_use]
    pub fn payment_hash(&self) -> PaymentHash {
        self.0.payment_hash
    }

    /// Returns when it was paid.
    #[must_use]
    pub fn paid_at(&self) -> Timestamp {
        self.0.paid_at
    }

    /// Reports whether an earlier request paid, whose answer was lost. This one only presented the
    /// credential again.
    #[must_use]
    pub fn is_earlier(&self) -> bool {
        self.0.is_earlier
    }
}

impl fmt::Debug for PaidReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaidReceipt")
            .field("amount", &self.0.amount)
            .field("fee", &self.0.fee)
            .field("dialect", &self.0.dialect)
            .field("payment_hash", &self.0.payment_hash)
            .field("is_earlier", &self.0.is_earlier)
            .finish_non_exhaustive()
    }
}
