//! The limiter's state: which clients hold which slots, when these are freed, and who paid.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use super::{
    claims::Claims,
    limits::UnpaidLimits,
    pace::{PayingPace, sooner},
    silence::{CallEnd, NodeCall, Silence},
};
use crate::{
    clock::Timestamp,
    payment::PaymentHash,
    recent::Recent,
    server::address::{Block, ClientKey},
};

/// How long a client counts as one that paid.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// The limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// A client, and how many unpaid invoices it may hold.
    Client(ClientKey, usize),
    Block(Block),
    All,
    /// This client found no number among those that instances share.
    Shared(ClientKey),
}

/// A refusal of one more unpaid invoice: 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// The time until a slot is likely free, at least one second.
    pub(crate) retry_after: Duration,
    /// The widest limit that is reached.
    pub(crate) full: Full,
}

#[derive(Debug)]
pub(super) struct LimiterState {
    next_id: u64,
    pub(super) slots: HashMap<u64, HeldSlot>,
    pub(super) ends: BTreeSet<(Timestamp, u64)>,
    pub(super) ends_by_client: BTreeSet<(ClientKey, Timestamp, u64)>,
    pub(super) ends_by_block: BTreeSet<(Block, Timestamp, u64)>,
    pub(super) by_hash: HashMap<PaymentHash, u64>,
    pub(super) by_block: HashMap<Block, usize>,
    pub(super) clients: HashMap<ClientKey, KnownClient>,
    pub(super) payers: BTreeSet<(Timestamp, ClientKey)>,
    /// Payments that have made their payer known: the latest of them.
    counted: Recent<PaymentHash>,
    pub(super) silence: Silence,
    pub(super) claims: Claims,
}

#[derive(Debug)]
pub(super) struct HeldSlot {
    pub(super) since: Timestamp,
    /// The client of the request.
    pub(super) asker: ClientKey,
    /// The client that it counts for: the request's, or `Unknown` if the table of clients was full.
    pub(super) client: ClientKey,
    pub(super) end: Option<Timestamp>,
    pub(super) hash: Option<PaymentHash>,
    /// The number that its invoice counts under, if instances share numbers.
    pub(super) number: Option<u64>,
}

/// A client that holds a slot or has paid.
#[derive(Debug, Default)]
pub(super) struct KnownClient {
    pub(super) held: usize,
    pub(super) paid: Option<Timestamp>,
    pub(super) pace: PayingPace,
}

impl LimiterState {
    pub(super) fn new(limits: &UnpaidLimits) -> Self {
        Self {
            next_id: 0,
            slots: HashMap::new(),
            ends: BTreeSet::new(),
            ends_by_client: BTreeSet::new(),
            ends_by_block: BTreeSet::new(),
            by_hash: HashMap::new(),
            by_block: HashMap::new(),
            clients: HashMap::new(),
            payers: BTreeSet::new(),
            counted: Recent::new(limits.payers()),
            silence: Silence::default(),
            claims: Claims::default(),
        }
    }

    /// A slot for this client, or what is full and when a slot is likely free, if that is known.
    pub(super) fn reserve(
        &mut self,
        asker: ClientKey,
        now: Timestamp,
        limits: &UnpaidLimits,
    ) -> Result<u64, (Full, Option<Timestamp>)> {
        let is_told_apart =
            self.clients.contains_key(&asker) || self.clients.len() < limits.clients;
        let client = if is_told_apart {
            asker
        } else {
            ClientKey::Unknown
        };
        match self.full(asker, client, now, limits) {
            Some(full) => Err(full),
            None => Ok(self.hold(asker, client, now)),
        }
    }

    /// Returns the widest limit that is reached, and when all reached limits likely have room
    /// again.
    fn full(
        &self,
        asker: ClientKey,
        client: ClientKey,
        now: Timestamp,
        limits: &UnpaidLimits,
    ) -> Option<(Full, Option<Timestamp>)> {
        let mut full: Option<(Full, Option<Timestamp>)> = None;
        let mut add = |which, end: Option<Timestamp>| {
            full = Some((which, end.max(full.and_then(|(_, end)| end))))
        };
        let (held, has_paid) = self
            .clients
            .get(&client)
            .map_or((0, false), |known| (known.held, known.paid.is_some()));
        // One payment of this client makes room where one slot is missing.
        let pays = |excess| match excess {
            0 => self.next_payment(client, 0, now),
            _ => None,
        };
        let most = limits.of_client(has_paid && self.has_plenty(asker, limits));
        if client != ClientKey::Unknown && held >= most {
            add(
                Full::Client(client, most),
                self.likely_free(client, held - most, now),
            );
        }
        for block in asker.blocks() {
            let held = self.by_block.get(&block).copied().unwrap_or_default();
            if let Some(excess) = held.checked_sub(limits.open(limits.of_block(block), has_paid)) {
                let ends = self
                    .ends_by_block
                    .range((block, Timestamp::default(), 0)..=(block, Timestamp::MAX, u64::MAX));
                let end = ends.map(|(_, end, _)| *end).nth(excess);
                add(Full::Block(block), sooner(end, pays(excess)));
            }
        }
        if let Some(excess) = self
            .slots
            .len()
            .checked_sub(limits.open(limits.total, has_paid))
        {
            let end = self.ends.iter().map(|(end, _)| *end).nth(excess);
            add(Full::All, sooner(end, pays(excess)));
        }
        full
    }

    /// Returns whether less than half is held of the total and of the shares of the networks around
    /// this client. Only then a client that paid may hold more than others.
    pub(super) fn has_plenty(&self, asker: ClientKey, limits: &UnpaidLimits) -> bool {
        let held = |block| self.by_block.get(&block).copied().unwrap_or_default();
        self.slots.len() < limits.total / 2
            && asker
                .blocks()
                .all(|block| held(block) < limits.of_block(block) / 2)
    }

    fn hold(&mut self, asker: ClientKey, client: ClientKey, now: Timestamp) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.slots.insert(
            id,
            HeldSlot {
                since: now,
                asker,
                client,
                end: None,
                hash: None,
                number: None,
            },
        );
        if client != ClientKey::Unknown {
            let known = self.clients.entry(client).or_default();
            known.held += 1;
            known.pace.asked(now);
        }
        asker
            .blocks()
            .for_each(|block| *self.by_block.entry(block).or_default() += 1);
        id
    }

    /// Notes that the node made the invoice.
    pub(super) fn issued(
        &mut self,
        id: u64,
        call: Option<&NodeCall>,
        (hash, end): (PaymentHash, Timestamp),
    ) {
        call.into_iter().for_each(|call| self.silence.made(call));
        let Some(held) = self.slots.get_mut(&id) else {
            return;
        };
        held.hash = Some(hash);
        self.by_hash.insert(hash, id);
        self.set_end(id, Some(end));
    }

    /// Notes that the call gave no invoice to offer.
    pub(super) fn not_issued(&mut self, id: u64, call: &NodeCall, why: CallEnd) {
        let is_proof = match why {
            CallEnd::BadAnswer | CallEnd::Refused => {
                self.silence.heard();
                false
            }
            CallEnd::WrongInvoice => {
                self.silence.made(call);
                false
            }
            CallEnd::HungUp | CallEnd::TimedOut | CallEnd::Unreachable => {
                self.silence.unanswered(call, why)
            }
        };
        if is_proof {
            // The node did not answer requests that were dropped before this call ended either.
            for (id, brief) in std::mem::take(&mut self.silence.dropped) {
                self.set_end(id, Some(brief));
            }
        }
        match why {
            CallEnd::Refused => self.release(id),
            // There may be an invoice, but an outage must not lock clients out until it would
            // expire.
            CallEnd::BadAnswer | CallEnd::TimedOut | CallEnd::Unreachable => {
                self.set_end(id, Some(call.brief))
            }
            CallEnd::HungUp if self.silence.covers(call) => self.set_end(id, Some(call.brief)),
            CallEnd::HungUp => {
                self.set_end(id, Some(call.end));
                self.silence.dropped.insert(id, call.brief);
            }
            CallEnd::WrongInvoice => self.set_end(id, Some(call.end)),
        }
    }

    fn set_end(&mut self, id: u64, end: Option<Timestamp>) {
        let Some(held) = self.slots.get_mut(&id) else {
            return;
        };
        let (client, asker) = (held.client, held.asker);
        if let Some(before) = std::mem::replace(&mut held.end, end) {
            self.ends.remove(&(before, id));
            self.ends_by_client.remove(&(client, before, id));
            for block in asker.blocks() {
                self.ends_by_block.remove(&(block, before, id));
            }
        }
        if let Some(end) = end {
            self.ends.insert((end, id));
            self.ends_by_client.insert((client, end, id));
            self.ends_by_block
                .extend(asker.blocks().map(|block| (block, end, id)));
        }
    }

    pub(super) fn release(&mut self, id: u64) {
        self.set_end(id, None);
        let Some(HeldSlot {
            asker,
            client,
            hash,
            number,
            ..
        }) = self.slots.remove(&id)
        else {
            return;
        };
        if let Some(number) = number {
            self.claims.free(number, id);
        }
        if let Some(hash) = hash.filter(|hash| self.by_hash.get(hash) == Some(&id)) {
            self.by_hash.remove(&hash);
        }
        self.silence.dropped.remove(&id);
        for block in asker.blocks() {
            if let Some(held) = self.by_block.get_mut(&block) {
                *held = held.saturating_sub(1);
            }
            if self.by_block.get(&block) == Some(&0) {
                self.by_block.remove(&block);
            }
        }
        if let Some(known) = self.clients.get_mut(&client) {
            known.held = known.held.saturating_sub(1);
        }
        self.forget_idle(client);
    }

    /// Frees the slot of an invoice that the node reported as paid, if this process made it.
    pub(super) fn settled(&mut self, hash: PaymentHash, now: Timestamp, limits: &UnpaidLimits) {
        if self.by_hash.contains_key(&hash) {
            self.paid(hash, ClientKey::Unknown, now, limits);
        }
    }

    /// Marks the client that the invoice was made for as one that paid. If it is not known (any
    /// more), the client that presents the payment. One payment makes one payer.
    pub(super) fn paid(
        &mut self,
        hash: PaymentHash,
        presenter: ClientKey,
        now: Timestamp,
        limits: &UnpaidLimits,
    ) {
        let id = self.by_hash.get(&hash).copied();
        let held = id.and_then(|id| self.slots.get(&id));
        let held = held.filter(|held| held.asker != ClientKey::Unknown);
        let took = held.map(|held| now.saturating_since(held.since));
        let client = held.map_or(presenter, |held| held.asker);
        if self.counted.insert(hash, ()) {
            self.mark_paid(client, now, limits);
            if let (Some(took), Some(known)) = (took, self.clients.get_mut(&client)) {
                known.pace.paid(took);
            }
        }
        if let Some(id) = id {
            self.release(id);
        }
    }

    fn mark_paid(&mut self, client: ClientKey, now: Timestamp, limits: &UnpaidLimits) {
        if client == ClientKey::Unknown {
            return;
        }
        if !self.clients.contains_key(&client) && self.clients.len() >= limits.clients {
            self.forget_oldest_payer();
            if self.clients.len() >= limits.clients {
                return;
            }
        }
        let known = self.clients.entry(client).or_default();
        if let Some(before) = known.paid.replace(now) {
            self.payers.remove(&(before, client));
        }
        self.payers.insert((now, client));
        // Clients that paid longest ago make room for new ones.
        if self.payers.len() > limits.payers() {
            self.forget_oldest_payer();
        }
    }

    fn forget_oldest_payer(&mut self) {
        let Some((_, client)) = self.payers.pop_first() else {
            return;
        };
        if let Some(known) = self.clients.get_mut(&client) {
            known.paid = None;
        }
        self.forget_idle(client);
    }

    /// Frees the slots of expired invoices and forgets old payments.
    pub(super) fn forget(&mut self, now: Timestamp) {
        while let Some((_, id)) = self.ends.first().copied().filter(|(end, _)| *end < now) {
            self.release(id);
        }
        while self
            .payers
            .first()
            .is_some_and(|(paid, _)| paid.saturating_add(REMEMBERED) < now)
        {
            self.forget_oldest_payer();
        }
    }

    fn forget_idle(&mut self, client: ClientKey) {
        if self
            .clients
            .get(&client)
            .is_some_and(|known| known.held == 0 && known.paid.is_none())
        {
            self.clients.remove(&client);
        }
    }
}
