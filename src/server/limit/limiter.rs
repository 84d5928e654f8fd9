//! Limits the unpaid invoices of one client, of the networks around it, and of all clients
//! together.
//!
//! 1. A [`Slot`] is [reserved](Limiter::reserve) before the node is called, or the request is
//!    refused.
//! 2. [`Slot::claim`] counts it among the invoices of all instances, if these share their limits.
//! 3. [`Slot::node_called`] notes that the node is being called. From then on an invoice may exist,
//!    and the slot stays held even if the request ends.
//! 4. [`Slot::issued`] binds it to the invoice. [`Slot::not_issued`] notes how the call ended
//!    otherwise. The slot is freed at once if there is certainly no invoice, and after the time
//!    limit if the node did not answer.
//! 5. It is held until [`Limiter::paid`] or until the invoice expires.
//!
//! A client that paid in the last day may hold four times as many slots as others, while less than
//! half of the total and of the shares of its networks is held. So bursts of clients that paid take
//! nothing from the half that is left, nor from the part reserved for clients that paid.
//!
//! An IPv6 client is a network of 64 bits. A household has up to 256 of them and a site 65,536. So
//! the networks of 56 and 48 bits around a client have shares too: see [`UnpaidLimits::of_block`].
//! IPv4 addresses are scarce, and many customers may share one. So each IPv4 address counts alone,
//! and the networks around it have no share.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    limits::UnpaidLimits,
    shared::{SharedNumbers, Unclaimed},
    silence::{CallEnd, NodeCall},
    state::{LimiterState, TooMany},
};
use crate::{
    lock::lock,
    {clock::Timestamp, payment::PaymentHash, server::address::ClientKey},
};

/// The counter of unpaid invoices. Its limits bound its memory.
///
/// A call costs the logarithm of the number of slots, once for each slot that it frees. A refusal
/// also walks over the slots in the part reserved for clients that paid: at most
/// [`kept_percent`](UnpaidLimits::kept_percent) of the total. If a burst of the client is over, it
/// walks over the slots that this client holds above its usual limit.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: UnpaidLimits,
    state: Mutex<LimiterState>,
    recently_paid: RecentlyPaid,
    shared: Option<SharedNumbers>,
}

/// The right to one unpaid invoice. If it is dropped before [`node_called`](Self::node_called), it
/// is freed at once. If it is dropped later, it is freed when the invoice would expire, or after
/// the time limit if the node answered nobody meanwhile.
#[derive(Debug)]
#[must_use = "a slot that is dropped is freed"]
pub(crate) struct Slot {
    limiter: Arc<Limiter>,
    id: u64,
    /// What happens when it is dropped.
    on_drop: OnDrop,
}

#[derive(Clone, Copy, Debug)]
enum OnDrop {
    GiveBack,
    HangUp(NodeCall),
    Nothing,
}

impl Limiter {
    pub(crate) fn new(limits: UnpaidLimits) -> Self {
        Self {
            limits,
            state: Mutex::new(LimiterState::new(&limits)),
            recently_paid: RecentlyPaid::new(),
            shared: None,
        }
    }

    /// Counts the invoices of all instances that share these numbers.
    pub(crate) fn with_shared(self, shared: Option<SharedNumbers>) -> Self {
        Self { shared, ..self }
    }

    pub(crate) const fn limits(&self) -> &UnpaidLimits {
        &self.limits
    }

    /// Reserves a slot for one more invoice. Call it before the node, and before a price function.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        client: ClientKey,
        now: Timestamp,
    ) -> Result<Slot, TooMany> {
        let mut state = self.state();
        state.forget(now);
        match state.reserve(client, now, &self.limits) {
            Ok(id) => {
                drop(state);
                Ok(Slot {
                    limiter: self.clone(),
                    id,
                    on_drop: OnDrop::GiveBack,
                })
            }
            Err((full, end)) => {
                let wait = end.map_or(Duration::ZERO, |end| end.saturating_since(now));
                Err(TooMany {
                    retry_after: wait.max(Duration::from_secs(1)),
                    full,
                })
            }
        }
    }

    /// Notes that an invoice was paid and `presenter` redeems it. This frees its slot, and the
    /// client that it was made for counts as one that has paid. If that client is unknown, because
    /// the invoice expired or another server made it, the presenter counts.
    ///
    /// A further call for the same hash changes nothing, as long as the hash is one of the latest
    /// [`UnpaidLimits::payers`] that were noted. After that it may make a payer once more.
    ///
    /// Returns whether the payment was not noted recently. It may be `true` again for a payment that
    /// was noted before.
    pub(crate) fn paid(&self, hash: PaymentHash, presenter: ClientKey, now: Timestamp) -> bool {
        let is_new = !self.recently_paid.contains(&hash);
        if is_new {
            self.state().paid(hash, presenter, now, &self.limits);
            self.recently_paid.insert(&hash);
        }
        is_new
    }

    /// Notes that the node reported an invoice as paid. This frees its slot, if this process made
    /// the invoice.
    pub(crate) fn settled(&self, hash: PaymentHash, now: Timestamp) {
        self.state().settled(hash, now, &self.limits);
    }

    fn state(&self) -> MutexGuard<'_, LimiterState> {
        lock(&self.state)
    }
}

impl Slot {
    /// Claims a number for an invoice that lives for so long, if instances share numbers. Call it
    /// right before the node, so that no number is claimed for a request without an invoice.
    pub(crate) async fn claim(&self, now: Timestamp, life: Duration) -> Result<(), Unclaimed> {
        match &self.limiter.shared {
            Some(shared) => {
                shared
                    .claim(
                        &self.limiter.state,
                        &self.limiter.limits,
                        self.id,
                        (now, life),
                    )
                    .await
            }
            None => Ok(()),
        }
    }

    /// Notes that the node is about to be called for an invoice with this expiry, and has until the
    /// time limit to answer.
    pub(crate) fn node_called(&mut self, now: Timestamp, life: Duration, time_limit: Duration) {
        let end = now.saturating_add(life);
        let brief = now.saturating_add(time_limit).min(end);
        self.on_drop = OnDrop::HangUp(NodeCall {
            began: Instant::now(),
            time_limit,
            end,
            brief,
        });
    }

    /// Binds the slot to the invoice.
    pub(crate) fn issued(mut self, hash: PaymentHash, end: Timestamp) {
        let call = match std::mem::replace(&mut self.on_drop, OnDrop::Nothing) {
            OnDrop::HangUp(call) => Some(call),
            OnDrop::GiveBack | OnDrop::Nothing => None,
        };
        self.limiter
            .state()
            .issued(self.id, call.as_ref(), (hash, end));
        self.limiter.recently_paid.remove(&hash);
    }

    /// Notes that the call gave no invoice to offer.
    pub(crate) fn not_issued(mut self, why: CallEnd) {
        self.ended(why);
    }

    fn ended(&mut self, why: CallEnd) {
        match std::mem::replace(&mut self.on_drop, OnDrop::Nothing) {
            OnDrop::GiveBack => self.limiter.state().release(self.id),
            OnDrop::HangUp(call) => self.limiter.state().not_issued(self.id, &call, why),
            OnDrop::Nothing => {}
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.ended(CallEnd::HungUp);
    }
}

/// Payments that were noted recently, so that the next request with one of them takes no lock. It
/// may forget any of them at any time.
#[derive(Debug)]
struct RecentlyPaid(Box<[AtomicU64]>);

impl RecentlyPaid {
    const PLACES: usize = 4096;

    fn new() -> Self {
        Self((0..Self::PLACES).map(|_| AtomicU64::new(0)).collect())
    }

    /// The place of a payment, and the value noted there. Payment hashes are random, so two do not
    /// collide in practice.
    fn note(&self, hash: &PaymentHash) -> (&AtomicU64, u64) {
        let [a, b, _, _, _, _, _, _, note @ ..] = hash.as_bytes();
        let [c, d, e, f, g, h, i, j, ..] = *note;
        let place = usize::from(u16::from_le_bytes([*a, *b])) % Self::PLACES;
        (
            &self.0[place],
            u64::from_le_bytes([c, d, e, f, g, h, i, j]).max(1),
        )
    }

    fn contains(&self, hash: &PaymentHash) -> bool {
        let (place, note) = self.note(hash);
        place.load(Ordering::Relaxed) == note
    }

    fn insert(&self, hash: &PaymentHash) {
        let (place, note) = self.note(hash);
        place.store(note, Ordering::Relaxed);
    }

    fn remove(&self, hash: &PaymentHash) {
        let (place, note) = self.note(hash);
        let _ = place.compare_exchange(note, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
