//! The free requests of one day, counted in memory.

use std::collections::HashMap;

use crate::server::address::{Block, ClientKey};

/// One network may use up to 1/64 of the clients that are counted, and of the records.
const BLOCKS: usize = 64;

/// How many records an IPv6 client's request takes at most.
const RECORDS_OF_ONE: usize = 3;

/// How much is free in a day, and how much memory that may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct DayLimits {
    pub(super) per_day: u32,
    /// How many clients are counted. Further ones get no free requests.
    pub(super) clients: usize,
    /// How many records may be written, if requests are recorded.
    pub(super) records: Option<usize>,
}

/// A client, or a network around it, whose clients share an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    Client(ClientKey),
    Block(Block),
}

/// The counts of one day of UTC.
#[derive(Debug, Default)]
pub(super) struct DayCounts {
    pub(super) day: u64,
    /// How many records were written, or are being written.
    pub(super) records: usize,
    clients: usize,
    counts: HashMap<Holder, Count>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    requests: u64,
    /// How many clients of a network are counted.
    clients: usize,
}

impl Holder {
    /// Returns the client and the networks around it, the widest last.
    pub(super) fn all(client: ClientKey) -> impl DoubleEndedIterator<Item = Self> {
        let blocks: Vec<_> = client.blocks().map(Self::Block).collect();
        std::iter::once(Self::Client(client)).chain(blocks)
    }

    /// Returns its kind and its address, as bytes. No two holders have the same.
    pub(super) fn address(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Client(ClientKey::Unknown) => (0, Vec::new()),
            Self::Client(ClientKey::V4(address)) => (4, address.octets().into()),
            Self::Client(ClientKey::V6(network)) => (64, network.into()),
            Self::Block(Block::Bits56(network)) => (56, network.into()),
            Self::Block(Block::Bits48(network)) => (48, network.into()),
        }
    }

    /// Returns how many free requests it has a day.
    pub(super) fn limit(self, limits: DayLimits) -> u64 {
        let clients = match self {
            Self::Client(_) => 1,
            Self::Block(block) => block.clients() as u64,
        };
        let by_number = u64::from(limits.per_day).saturating_mul(clients);
        match (self, limits.records) {
            (Self::Block(_), Some(records)) => {
                by_number.min((records / BLOCKS / RECORDS_OF_ONE).max(1) as u64)
            }
            _ => by_number,
        }
    }
}

impl DayCounts {
    /// Begins this day, if it is another one. A clock that jumps back over midnight gives no second
    /// allowance. One that was days ahead may be corrected.
    pub(super) fn begin(&mut self, day: u64) {
        if day > self.day || day.saturating_add(1) < self.day {
            *self = Self {
                day,
                ..Self::default()
            };
        }
    }

    /// Takes one free request of a client and of the networks around it. Returns false if none is
    /// left.
    pub(super) fn take(&mut self, client: ClientKey, limits: DayLimits) -> bool {
        let count = |holder| self.counts.get(&holder).copied().unwrap_or_default();
        let is_new = !self.counts.contains_key(&Holder::Client(client));
        let is_crowded = |holder| {
            is_new
                && match holder {
                    Holder::Client(_) => self.clients >= limits.clients,
                    Holder::Block(_) => count(holder).clients >= (limits.clients / BLOCKS).max(1),
                }
        };
        let is_used_up = |holder: Holder| count(holder).requests >= holder.limit(limits);
        if Holder::all(client).any(|holder| is_used_up(holder) || is_crowded(holder)) {
            return false;
        }
        self.clients += usize::from(is_new);
        for holder in Holder::all(client) {
            let count = self.counts.entry(holder).or_default();
            count.requests += 1;
            count.clients += usize::from(is_new);
        }
        true
    }

    /// Returns the number of the request that was taken last, counted from 0.
    pub(super) fn number(&self, holder: Holder) -> u64 {
        let count = self.counts.get(&holder);
        count.map_or(0, |count| count.requests.saturating_sub(1))
    }

    /// Takes one more, after all below `first` turned out to be taken. Returns its number.
    pub(super) fn take_from(
        &mut self,
        holder: Holder,
        first: u64,
        limits: DayLimits,
    ) -> Option<u64> {
        let count = self.counts.entry(holder).or_default();
        count.requests = count.requests.max(first);
        let number = count.requests;
        (number < holder.limit(limits)).then(|| count.requests += 1)?;
        Some(number)
    }

    /// Gives a number back that was not recorded.
    pub(super) fn give_back(&mut self, holder: Holder, number: u64) {
        if let Some(count) = self.counts.get_mut(&holder) {
            count.requests = count.requests.min(number);
        }
    }
}
