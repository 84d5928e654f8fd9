//! How many unpaid invoices there may be: for one client, and in all.
//!
//! 1. A [`Slot`] is [reserved](Limiter::reserve) before the node is called, or the request is refused.
//! 2. [`Slot::asked`] says that the node is being called: from then on an invoice may exist, and whatever becomes of the
//!    request, the slot is held.
//! 3. [`Slot::issued`] binds it to the invoice, [`Slot::not_issued`] gives it back.
//! 4. It is held until [`Limiter::paid`] or the invoice's end.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{clock::Timestamp, payment::PaymentHash, server::address::ClientKey};

/// The numbers of a [`Limiter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnpaidLimits {
    /// For one client.
    pub(crate) per_client: usize,
    /// In all.
    pub(crate) total: usize,
    /// The part of them, in percent, that only clients that paid before may take.
    pub(crate) kept_percent: usize,
    /// Clients that are told apart. Beyond, new ones are counted as unknown.
    pub(crate) clients: usize,
}

impl Default for UnpaidLimits {
    fn default() -> Self {
        Self { per_client: 64, total: 10_000, kept_percent: 10, clients: 20_000 }
    }
}

/// How long it is remembered that a client paid.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Counts unpaid invoices. Its memory is bounded by its limits; each call costs the logarithm of what is held.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: UnpaidLimits,
    state: Mutex<State>,
    /// How many hashes the state knows: where there are none, a paid request takes no lock.
    hashes: AtomicUsize,
}

/// No further invoice for this client now: 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// When the next slot comes back at the latest, or a second where nothing is known.
    pub(crate) retry_after: Duration,
}

/// The right to one unpaid invoice. Dropped before [`asked`](Self::asked) it goes back at once, dropped afterwards at the end
/// that an invoice would have.
#[derive(Debug)]
#[must_use = "a slot that is dropped goes back"]
pub(crate) struct Slot {
    limiter: Arc<Limiter>,
    id: u64,
    /// What becomes of it when it is dropped.
    then: Then,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    GiveBack,
    HoldUntil(Timestamp),
    Nothing,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    slots: HashMap<u64, Held>,
    ends: BTreeSet<(Timestamp, u64)>,
    ends_by_client: BTreeSet<(ClientKey, Timestamp, u64)>,
    by_hash: HashMap<PaymentHash, u64>,
    clients: HashMap<ClientKey, Known>,
    payers: BTreeSet<(Timestamp, ClientKey)>,
}

#[derive(Debug)]
struct Held {
    client: ClientKey,
    end: Option<Timestamp>,
    hash: Option<PaymentHash>,
}

/// A client that holds a slot or has paid.
#[derive(Debug, Default)]
struct Known {
    held: usize,
    paid: Option<Timestamp>,
}

impl Limiter {
    pub(crate) fn new(limits: UnpaidLimits) -> Self {
        Self { limits, state: Mutex::default(), hashes: AtomicUsize::new(0) }
    }

    /// A slot for one more invoice. Call it before the node, and before a price function.
    pub(crate) fn reserve(self: &Arc<Self>, client: ClientKey, now: Timestamp) -> Result<Slot, TooMany> {
        let UnpaidLimits { per_client, total, kept_percent, clients } = self.limits;
        let mut state = self.state();
        state.forget(now);
        self.hashes.store(state.by_hash.len(), Ordering::Release);
        let is_told_apart =
            client != ClientKey::Unknown && (state.clients.contains_key(&client) || state.clients.len() < clients);
        let client = if is_told_apart { client } else { ClientKey::Unknown };
        let (held, has_paid) = state.clients.get(&client).map_or((0, false), |known| (known.held, known.paid.is_some()));
        let kept = if has_paid { 0 } else { total.saturating_mul(kept_percent.min(100)) / 100 };
        let next_end = if is_told_apart && held >= per_client {
            let mut ends = state.ends_by_client.range((client, Timestamp::default(), 0)..=(client, Timestamp::MAX, u64::MAX));
            ends.next().map(|(_, end, _)| *end)
        } else if state.slots.len() >= total - kept {
            state.ends.first().map(|(end, _)| *end)
        } else {
            let id = state.hold(client);
            drop(state);
            return Ok(Slot { limiter: self.clone(), id, then: Then::GiveBack });
        };
        let wait = next_end.map_or(Duration::ZERO, |end| end.saturating_since(now));
        Err(TooMany { retry_after: wait.max(Duration::from_secs(1)) })
    }

    /// This invoice was paid for and redeemed: its slot comes back, and its client has paid. Anything but the first call for a
    /// hash, and a hash that is not known (any more), changes nothing.
    pub(crate) fn paid(&self, hash: PaymentHash, now: Timestamp) {
        if self.hashes.load(Ordering::Acquire) == 0 {
            return;
        }
        self.change(|state| {
            let Some(id) = state.by_hash.get(&hash).copied() else { return };
            if let Some(client) = state.slots.get(&id).map(|held| held.client) {
                state.mark_paid(client, now, self.limits.clients / 2);
            }
            state.release(id);
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        self.hashes.store(state.by_hash.len(), Ordering::Release);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The node is about to be asked for an invoice that ends at `until` at the latest: from now on dropping the slot holds
    /// it until then.
    pub(crate) fn asked(&mut self, until: Timestamp) {
        self.then = Then::HoldUntil(until);
    }

    /// The invoice exists.
    pub(crate) fn issued(mut self, hash: PaymentHash, end: Timestamp) {
        self.then = Then::Nothing;
        self.limiter.change(|state| state.bind(self.id, Some(hash), end));
    }

    /// It is certain that no invoice came to be.
    pub(crate) fn not_issued(mut self) {
        self.then = Then::GiveBack;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        match self.then {
            Then::GiveBack => self.limiter.change(|state| state.release(self.id)),
            Then::HoldUntil(until) => self.limiter.change(|state| state.bind(self.id, None, until)),
            Then::Nothing => {}
        }
    }
}

impl State {
    fn hold(&mut self, client: ClientKey) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.slots.insert(id, Held { client, end: None, hash: None });
        if client != ClientKey::Unknown {
            self.clients.entry(client).or_default().held += 1;
        }
        id
    }

    fn bind(&mut self, id: u64, hash: Option<PaymentHash>, end: Timestamp) {
        let Some(held) = self.slots.get_mut(&id) else { return };
        held.end = Some(end);
        held.hash = hash;
        self.ends.insert((end, id));
        self.ends_by_client.insert((held.client, end, id));
        self.by_hash.extend(hash.map(|hash| (hash, id)));
    }

    fn release(&mut self, id: u64) {
        let Some(Held { client, end, hash }) = self.slots.remove(&id) else { return };
        if let Some(end) = end {
            self.ends.remove(&(end, id));
            self.ends_by_client.remove(&(client, end, id));
        }
        if let Some(hash) = hash.filter(|hash| self.by_hash.get(hash) == Some(&id)) {
            self.by_hash.remove(&hash);
        }
        if let Some(known) = self.clients.get_mut(&client) {
            known.held = known.held.saturating_sub(1);
        }
        self.forget_idle(client);
    }

    fn mark_paid(&mut self, client: ClientKey, now: Timestamp, most: usize) {
        let Some(known) = self.clients.get_mut(&client) else { return };
        if let Some(before) = known.paid.replace(now) {
            self.payers.remove(&(before, client));
        }
        self.payers.insert((now, client));
        // Those that paid longest ago make room for strangers.
        if self.payers.len() > most {
            self.forget_oldest_payer();
        }
    }

    fn forget_oldest_payer(&mut self) {
        let Some((_, client)) = self.payers.pop_first() else { return };
        if let Some(known) = self.clients.get_mut(&client) {
            known.paid = None;
        }
        self.forget_idle(client);
    }

    /// Lets go of invoices that have ended and of payments long ago.
    fn forget(&mut self, now: Timestamp) {
        while let Some((_, id)) = self.ends.first().copied().filter(|(end, _)| *end < now) {
            self.release(id);
        }
        while self.payers.first().is_some_and(|(paid, _)| paid.saturating_add(REMEMBERED) < now) {
            self.forget_oldest_payer();
        }
    }

    fn forget_idle(&mut self, client: ClientKey) {
        if self.clients.get(&client).is_some_and(|known| known.held == 0 && known.paid.is_none()) {
            self.clients.remove(&client);
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
