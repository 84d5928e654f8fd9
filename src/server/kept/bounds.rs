//! How much may be kept: in all, for one client and for its networks, and how often one answer is
//! given again.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
};

use super::key::AnswerKey;
use crate::{
    clock::Timestamp,
    lock::lock,
    recent::Recent,
    server::address::{Block, ClientKey},
};

/// How often a process gives one answer again. Anyone who has the credential can ask for the answer,
/// so without a limit one payment would serve any number of readers.
const TIMES: u32 = 16;
/// For how many answers that is counted.
const COUNTED: usize = 16_384;
/// How many identifiers of payments a process notes at the same time.
const IDENTIFIERS: usize = 16_384;

/// What this process keeps, until it expires.
#[derive(Debug)]
pub(super) struct Bounds {
    /// In bytes.
    pub(super) answers: Room,
    pub(super) identifiers: Room,
    given: Mutex<Recent<AnswerKey, u32>>,
}

impl Bounds {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            answers: Room::new(bytes, OVERHEAD),
            identifiers: Room::new(IDENTIFIERS, 0),
            given: Mutex::new(Recent::new(COUNTED)),
        }
    }

    /// Returns whether an answer may be given again.
    pub(super) fn may_give(&self, key: AnswerKey) -> bool {
        let times = lock(&self.given).get(&key).copied();
        times.is_none_or(|times| times < TIMES)
    }

    /// Counts that an answer is given again. Returns false if that was done too often.
    pub(super) fn give(&self, key: AnswerKey) -> bool {
        let mut given = lock(&self.given);
        let times = given.entry(key);
        *times = times.saturating_add(1);
        *times <= TIMES
    }
}

/// A number of bytes or of records, and who holds how many of them.
#[derive(Debug)]
pub(super) struct Room {
    total: usize,
    /// What a share gets beside its part of the total.
    extra: usize,
    held: Mutex<Holders>,
}

/// What was taken: until when, by which client, and how much.
pub(super) type Taken = (Timestamp, ClientKey, usize);

#[derive(Debug, Default)]
struct Holders {
    all: usize,
    by_client: HashMap<ClientKey, usize>,
    by_block: HashMap<Block, usize>,
    /// In the order in which it was taken.
    order: VecDeque<Taken>,
}

impl Room {
    fn new(total: usize, extra: usize) -> Self {
        Self {
            total,
            extra,
            held: Mutex::default(),
        }
    }

    pub(super) const fn total(&self) -> usize {
        self.total
    }

    /// Takes room until it expires. Returns `None` and takes nothing if there is too little. One
    /// client gets 4/16 of the whole, one IPv6 network of 56 bits 6/16 and one of 48 bits 8/16.
    /// Clients without a known address share the whole room.
    pub(super) fn take(
        &self,
        client: ClientKey,
        amount: usize,
        until: Timestamp,
        now: Timestamp,
    ) -> Option<Taken> {
        let held = &mut *lock(&self.held);
        held.forget(now);
        let fits = |held: usize, most| held.saturating_add(amount) <= most;
        let share = |sixteenths: usize| self.total / 16 * sixteenths + self.extra;
        let client_fits = client == ClientKey::Unknown
            || fits(held.by_client.get(&client).copied().unwrap_or(0), share(4));
        let blocks_fit = client.blocks().all(|block| {
            let sixteenths = match block {
                Block::Bits56(_) => 6,
                Block::Bits48(_) => 8,
            };
            let of_block = held.by_block.get(&block).copied().unwrap_or(0);
            fits(of_block, share(sixteenths))
        });
        if !fits(held.all, self.total) || !client_fits || !blocks_fit {
            return None;
        }
        let taken = (until, client, amount);
        held.all += amount;
        *held.by_client.entry(client).or_default() += amount;
        for block in client.blocks() {
            *held.by_block.entry(block).or_default() += amount;
        }
        held.order.push_back(taken);
        Some(taken)
    }

    /// Gives back what was taken for something that was not written.
    pub(super) fn give_back(&self, taken: Taken) {
        let held = &mut *lock(&self.held);
        // It was taken a moment ago.
        if let Some(at) = held.order.iter().rposition(|held| *held == taken) {
            held.order.remove(at);
            held.subtract(taken);
        }
    }
}

impl Holders {
    fn forget(&mut self, now: Timestamp) {
        while let Some(oldest) = self.order.pop_front_if(|(until, ..)| now > *until) {
            self.subtract(oldest);
        }
    }

    fn subtract(&mut self, (_, client, amount): Taken) {
        self.all -= amount;
        subtract(&mut self.by_client, &client, amount);
        for block in client.blocks() {
            subtract(&mut self.by_block, &block, amount);
        }
    }
}

fn subtract<K: Eq + std::hash::Hash>(held: &mut HashMap<K, usize>, key: &K, amount: usize) {
    if let Some(of_key) = held.get_mut(key) {
        *of_key -= amount;
        if *of_key == 0 {
            held.remove(key);
        }
    }
}

/// About how many bytes a record takes besides its value, and the head of an answer.
pub(super) const OVERHEAD: usize = 512;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn nobody_keeps_more_than_a_quarter_and_all_together_no_more_than_the_whole() {
        let room = Bounds::new(8_000).answers;
        let client = |last| ClientKey::V4(Ipv4Addr::new(10, 0, 0, last));
        for last in 0..4 {
            let take = || room.take(client(last), 2_000, at(10), at(0));
            assert!(take().is_some() && take().is_none(), "a quarter");
        }
        let take = |client, amount, now| room.take(client, amount, at(10 + now), at(now)).is_some();
        assert!(!take(client(9), 1, 0), "the whole");
        assert!(!take(client(9), usize::MAX, 10));
        assert!(take(client(9), 2_000, 11), "they are over");
        assert!(take(ClientKey::Unknown, 6_000, 11));
        let held = room.held.lock().unwrap();
        assert_eq!(
            (held.all, held.order.len(), held.by_client.len()),
            (8_000, 2, 2)
        );
    }

    #[test]
    fn a_household_keeps_six_and_a_site_eight_sixteenths() {
        let room = Bounds::new(16_000).answers;
        let take = |site: u8, household: u8, network: u8| {
            let client = ClientKey::V6([0x20, 1, 0xd, 0xb8, 0, site, household, network]);
            room.take(client, 2_000, at(10), at(0)).is_some()
        };
        let taken = |site, household: fn(u8) -> u8| {
            (0..16).filter(|n| take(site, household(*n), *n)).count()
        };
        assert_eq!(taken(1, |_| 0), 3, "one household");
        assert_eq!(taken(1, |n| n + 1), 1, "the rest of its site");
        assert_eq!(taken(2, |n| n), 4, "another site");
        let held = room.held.lock().unwrap();
        assert_eq!((held.all, held.by_block.len()), (16_000, 8));
    }

    #[test]
    fn what_is_given_back_is_free_at_once_and_only_once() {
        let room = Bounds::new(8_000).answers;
        let clients = [
            ClientKey::Unknown,
            ClientKey::V4(Ipv4Addr::LOCALHOST),
            ClientKey::V6([7; 8]),
        ];
        for client in clients {
            for _ in 0..100 {
                let kept = room.take(client, 500, at(10), at(0)).unwrap();
                let taken = room.take(client, 2_000, at(10), at(0)).unwrap();
                room.give_back(taken);
                room.give_back(taken);
                room.give_back(kept);
            }
        }
        let held = room.held.lock().unwrap();
        assert_eq!((held.all, held.order.len()), (0, 0));
        assert!(held.by_client.is_empty() && held.by_block.is_empty());
    }

    #[test]
    fn an_answer_is_given_again_sixteen_times() {
        let bounds = Bounds::new(1);
        let [key, other] = [b"a", b"b"].map(|part| AnswerKey::of_parts(&[part]));
        assert!((0..16).all(|_| bounds.may_give(key) && bounds.give(key)));
        assert!(!bounds.may_give(key) && !bounds.give(key));
        assert!(bounds.may_give(other) && bounds.give(other));
    }
}
