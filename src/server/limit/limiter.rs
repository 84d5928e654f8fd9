//! How many unpaid invoices there may be: for one client, for the networks that it is in, and in
//! all.
//!
//! 1. A [`Slot`] is [reserved](Limiter::reserve) before the node is called, or the request is
//!    refused.
//! 2. [`Slot::node_called`] says that the node is being called: from then on an invoice may exist, and
//!    whatever becomes of the request, the slot is held.
//! 3. [`Slot::issued`] binds it to the invoice. [`Slot::not_issued`] says how the call ended
//!    otherwise: the slot goes back at once if there is certainly no invoice, and after the time
//!    limit if the node did not answer.
//! 4. It is held until [`Limiter::paid`] or the invoice's end.
//!
//! An IPv6 client is a network of 64 bits. A household has up to 256 of them and a site 65,536, so
//! the networks of 56 and 48 bits around a client have shares too: see [`UnpaidLimits::of_block`].
//! IPv4 addresses are scarce, and many customers may stand behind one: there each address counts
//! alone, and no network around it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    limits::UnpaidLimits,
    silence::{CallEnd, NodeCall},
    state::{Full, LimiterState},
};
use crate::{clock::Timestamp, payment::PaymentHash, server::address::ClientKey};

/// Counts unpaid invoices. Its memory is bounded by its limits.
///
/// A call costs the logarithm of what is held, once for each slot that comes back in it. A refusal
/// also walks over the slots that clients hold in the part that is kept for those that paid: at
/// most [`kept_percent`](UnpaidLimits::kept_percent) of the total.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: UnpaidLimits,
    state: Mutex<LimiterState>,
    recently_paid: RecentlyPaid,
}

/// No further invoice for this client now: 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// When the next slot comes back at the latest, or a second if nothing is known.
    pub(crate) retry_after: Duration,
    /// The widest that has no slot left.
    pub(crate) full: Full,
}

/// The right to one unpaid invoice. Dropped before [`node_called`](Self::node_called) it goes back at once,
/// dropped afterwards at the end that an invoice would have, or after the time limit if the node
/// answered nobody while it was asked.
#[derive(Debug)]
#[must_use = "a slot that is dropped goes back"]
pub(crate) struct Slot {
    limiter: Arc<Limiter>,
    id: u64,
    /// What becomes of it when it is dropped.
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
            state: Mutex::default(),
            recently_paid: RecentlyPaid::new(),
        }
    }

    pub(crate) const fn limits(&self) -> &UnpaidLimits {
        &self.limits
    }

    /// A slot for one more invoice. NodeCall it before the node, and before a price function.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        client: ClientKey,
        now: Timestamp,
    ) -> Result<Slot, TooMany> {
        let mut state = self.state();
        state.forget(now);
        match state.reserve(client, &self.limits) {
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

    /// This invoice was paid for, and `presenter` redeems it: its slot comes back, and the client
    /// that it was made for counts as one that has paid. If nobody remembers whose invoice it was,
    /// because it has ended or another server made it, the presenter counts.
    ///
    /// A further call for the same hash changes nothing, as long as the hash is one of the latest
    /// [`UnpaidLimits::payers`] that were told. One that was forgotten may make a payer once more.
    pub(crate) fn paid(&self, hash: PaymentHash, presenter: ClientKey, now: Timestamp) {
        if !self.recently_paid.contains(&hash) {
            self.state().paid(hash, presenter, now, &self.limits);
            self.recently_paid.insert(&hash);
        }
    }

    fn state(&self) -> MutexGuard<'_, LimiterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The node is about to be asked for an invoice that lives so long. It has until the time limit
    /// to answer.
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

    /// The invoice exists.
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

    /// There is no invoice to offer.
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

/// Payments that were told lately, so that the next request with one of them takes no lock. It may
/// forget one at any time.
#[derive(Debug)]
struct RecentlyPaid(Box<[AtomicU64]>);

impl RecentlyPaid {
    const PLACES: usize = 4096;

    fn new() -> Self {
        Self((0..Self::PLACES).map(|_| AtomicU64::new(0)).collect())
    }

    /// Where a payment is noted, and as what. Nobody chooses a payment hash, so no two look alike.
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
