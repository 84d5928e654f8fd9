use super::Lie;
use crate::{
    clock::Timestamp,
    lightning::{
        InvoiceStatus, PaymentStatus,
        remembered::{Forgettable, PAID, Remembered, UNPAID},
    },
    payment::{Amount, Invoice, PaymentHash, Preimage},
};

/// What happens to the payments of a [`LocalNode`](super::LocalNode).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payments {
    /// They fail, and no money leaves.
    Fail,
    /// They succeed, but the answer is lost: the result is an error that says that money may have
    /// left.
    LoseAnswer,
    /// They stay in flight, until [`settle`](super::LocalNode::settle) or
    /// [`fail_payment`](super::LocalNode::fail_payment) ends them.
    StayInFlight,
    /// They succeed at once.
    #[default]
    Succeed,
}

/// The mutable state of a local node.
pub(super) struct LocalState {
    pub(super) entries: Remembered<Entry>,
    pub(super) created: u64,
    pub(super) last: Option<Preimage>,
    pub(super) lie: Option<Lie>,
    pub(super) payments: Payments,
    pub(super) reachable: bool,
}

impl LocalState {
    pub(super) fn new() -> Self {
        let (payments, entries) = (Payments::Succeed, Remembered::new());
        Self {
            entries,
            created: 0,
            last: None,
            lie: None,
            payments,
            reachable: true,
        }
    }

    pub(super) fn entry(&self, payment_hash: PaymentHash) -> Option<&Entry> {
        self.entries.get(payment_hash)
    }
}

/// One invoice and its progress.
pub(super) struct Entry {
    pub(super) preimage: Preimage,
    pub(super) amount: Option<Amount>,
    pub(super) payee: [u8; 33],
    pub(super) end: Timestamp,
    pub(super) progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Failed,
    InFlight,
    Open,
    Settled,
}

impl Entry {
    pub(super) fn new(preimage: Preimage, invoice: &Invoice) -> Self {
        let (amount, payee, end) = (invoice.amount(), *invoice.payee(), invoice.expires_at());
        Self {
            preimage,
            amount,
            payee,
            end,
            progress: Progress::Open,
        }
    }

    /// Returns whether this entry was made for `invoice`, and not for another one with the same
    /// payment hash.
    pub(super) fn is_of(&self, invoice: &Invoice) -> bool {
        (invoice.amount(), invoice.payee()) == (self.amount, &self.payee)
    }

    pub(super) fn as_invoice(&self, now: Timestamp) -> InvoiceStatus {
        match self.progress {
            Progress::Settled => InvoiceStatus::Settled,
            Progress::InFlight => InvoiceStatus::Open,
            Progress::Failed | Progress::Open if now >= self.end => InvoiceStatus::Expired,
            Progress::Failed | Progress::Open => InvoiceStatus::Open,
        }
    }

    pub(super) fn as_payment(&self) -> PaymentStatus {
        match self.progress {
            Progress::Settled => PaymentStatus::Paid {
                preimage: self.preimage.clone(),
                fee: Amount::ZERO,
            },
            Progress::InFlight => PaymentStatus::InFlight,
            Progress::Failed => PaymentStatus::Failed,
            Progress::Open => PaymentStatus::Unknown,
        }
    }
}

impl Forgettable for Entry {
    fn forget_at(&self) -> Timestamp {
        self.end.saturating_add(match self.progress {
            Progress::InFlight | Progress::Settled => PAID,
            Progress::Failed | Progress::Open => UNPAID,
        })
    }
}
