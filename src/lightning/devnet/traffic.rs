use std::sync::Mutex;

use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::{
    clock::{Clock as _, SystemClock, Timestamp},
    lightning::{
        InvoiceStatus, PaymentStatus,
        remembered::{Forgettable, PAID, Remembered, UNPAID},
        settled::Listeners,
    },
    lock::lock,
    payment::{Amount, Invoice, PaymentHash, Preimage},
};

/// The incoming and outgoing payments of one node. No lock is held while the channel manager is
/// called.
pub(super) struct Traffic {
    incoming: Mutex<Remembered<Incoming>>,
    outgoing: Mutex<Remembered<Outgoing>>,
    pub(super) listeners: Listeners,
}

/// Whether a payment has to be sent.
pub(super) enum Start {
    /// An earlier attempt is in flight or has succeeded.
    Already(watch::Receiver<PaymentStatus>),
    /// There is no room to remember another one.
    Full,
    /// It was recorded as in flight, and the caller must send it.
    Send(watch::Receiver<PaymentStatus>),
}

/// An invoice of this node. Its preimage is not here: the channel manager derives it when the
/// payment arrives.
struct Incoming {
    end: Timestamp,
    progress: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Open,
    /// The preimage was released, and the money has not arrived yet.
    Claiming,
    Settled,
}

struct Outgoing {
    end: Timestamp,
    status: watch::Sender<PaymentStatus>,
    /// The slot among the payments in flight.
    permit: Option<OwnedSemaphorePermit>,
}

impl Traffic {
    pub(super) fn new() -> Self {
        Self {
            incoming: Mutex::new(Remembered::new()),
            outgoing: Mutex::new(Remembered::new()),
            listeners: Listeners::default(),
        }
    }

    /// Records an invoice. Returns `false` if there is no room.
    pub(super) fn invoiced(&self, invoice: &Invoice) -> bool {
        let entry = Incoming {
            end: invoice.expires_at(),
            progress: Progress::Open,
        };
        lock(&self.incoming)
            .insert(invoice.payment_hash(), entry, now())
            .is_ok()
    }

    /// Returns whether to accept a payment that arrived. Each invoice is accepted once, before it
    /// expires.
    pub(super) fn takes(&self, payment_hash: PaymentHash) -> bool {
        match lock(&self.incoming).get_mut(payment_hash) {
            Some(entry) if entry.progress == Progress::Open && now() < entry.end => {
                entry.progress = Progress::Claiming;
                true
            }
            _ => false,
        }
    }

    /// Records that the money of an invoice has arrived.
    pub(super) fn settled(&self, payment_hash: PaymentHash) {
        if let Some(entry) = lock(&self.incoming).get_mut(payment_hash) {
            entry.progress = Progress::Settled;
        }
        self.listeners.notify(payment_hash);
    }

    pub(super) fn invoice(&self, payment_hash: PaymentHash) -> InvoiceStatus {
        match lock(&self.incoming).get(payment_hash) {
            None => InvoiceStatus::Unknown,
            Some(entry) => match entry.progress {
                Progress::Settled => InvoiceStatus::Settled,
                Progress::Open if now() >= entry.end => InvoiceStatus::Expired,
                Progress::Claiming | Progress::Open => InvoiceStatus::Open,
            },
        }
    }

    /// Returns an attempt to pay that must not be repeated: one in flight, or one that succeeded.
    pub(super) fn attempt(
        &self,
        payment_hash: PaymentHash,
    ) -> Option<watch::Receiver<PaymentStatus>> {
        attempt(&lock(&self.outgoing), payment_hash)
    }

    /// Records that an invoice is about to be paid, unless an attempt exists already.
    pub(super) fn start(&self, invoice: &Invoice, permit: OwnedSemaphorePermit) -> Start {
        let mut outgoing = lock(&self.outgoing);
        if let Some(earlier) = attempt(&outgoing, invoice.payment_hash()) {
            return Start::Already(earlier);
        }
        let (status, watching) = watch::channel(PaymentStatus::InFlight);
        let entry = Outgoing {
            end: invoice.expires_at(),
            status,
            permit: Some(permit),
        };
        match outgoing.insert(invoice.payment_hash(), entry, now()) {
            Ok(()) => Start::Send(watching),
            Err(_) => Start::Full,
        }
    }

    /// Records that a payment succeeded. Its HTLC is still in the channel.
    pub(super) fn paid(&self, preimage: Preimage, fee: Amount) {
        if let Some(entry) = lock(&self.outgoing).get_mut(preimage.payment_hash()) {
            entry
                .status
                .send_replace(PaymentStatus::Paid { preimage, fee });
        }
    }

    /// Records that the HTLC of a payment has left the channel, and frees its slot.
    pub(super) fn left(&self, payment_hash: PaymentHash) {
        if let Some(entry) = lock(&self.outgoing).get_mut(payment_hash) {
            entry.permit = None;
        }
    }

    /// Records that a payment failed, and frees its slot.
    pub(super) fn failed(&self, payment_hash: PaymentHash) {
        if let Some(entry) = lock(&self.outgoing).get_mut(payment_hash) {
            entry.permit = None;
            entry.status.send_replace(PaymentStatus::Failed);
        }
    }

    pub(super) fn payment(&self, payment_hash: PaymentHash) -> PaymentStatus {
        lock(&self.outgoing)
            .get(payment_hash)
            .map_or(PaymentStatus::Unknown, |entry| {
                entry.status.borrow().clone()
            })
    }
}

fn attempt(
    outgoing: &Remembered<Outgoing>,
    payment_hash: PaymentHash,
) -> Option<watch::Receiver<PaymentStatus>> {
    let entry = outgoing.get(payment_hash)?;
    let failed = matches!(*entry.status.borrow(), PaymentStatus::Failed);
    (!failed).then(|| entry.status.subscribe())
}

impl Forgettable for Incoming {
    fn forget_at(&self) -> Timestamp {
        self.end.saturating_add(match self.progress {
            Progress::Claiming | Progress::Settled => PAID,
            Progress::Open => UNPAID,
        })
    }
}

impl Forgettable for Outgoing {
    fn forget_at(&self) -> Timestamp {
        match *self.status.borrow() {
            PaymentStatus::InFlight => Timestamp::MAX,
            PaymentStatus::Paid { .. } => self.end.saturating_add(PAID),
            PaymentStatus::Failed | PaymentStatus::Unknown => self.end.saturating_add(UNPAID),
        }
    }
}

fn now() -> Timestamp {
    SystemClock::new().now()
}
