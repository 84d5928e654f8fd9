//! How much may be kept: in all and for one client, and how often one answer is given again.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
};

use super::key::AnswerKey;
use crate::{clock::Timestamp, lock::lock, recent::Recent, server::address::ClientKey};

/// How often a process gives one answer again. Whoever holds a credential can ask for the answer,
/// so without a limit one payment would serve any number of readers.
const TIMES: u32 = 16;
/// For how many answers that is counted.
const COUNTED: usize = 16_384;

/// The bytes that this process keeps, until they expire.
#[derive(Debug)]
pub(super) struct Bounds {
    total: usize,
    held: Mutex<HeldBytes>,
    given: Mutex<Recent<AnswerKey, u32>>,
}

#[derive(Debug, Default)]
struct HeldBytes {
    bytes: usize,
    by_client: HashMap<ClientKey, usize>,
    /// In the order in which they were kept.
    order: VecDeque<(Timestamp, ClientKey, usize)>,
}

impl Bounds {
    pub(super) fn new(total: usize) -> Self {
        Self {
            total,
            held: Mutex::default(),
            given: Mutex::new(Recent::new(COUNTED)),
        }
    }

    pub(super) const fn total(&self) -> usize {
        self.total
    }

    /// Takes room for so many bytes until they expire. Returns false and takes nothing if there is
    /// too little. Clients without a known address share the whole room.
    pub(super) fn take(
        &self,
        client: ClientKey,
        bytes: usize,
        until: Timestamp,
        now: Timestamp,
    ) -> bool {
        let held = &mut *lock(&self.held);
        held.forget(now);
        let of_client = held.by_client.get(&client).copied().unwrap_or(0);
        let most = match client {
            ClientKey::Unknown => self.total,
            ClientKey::V4(_) | ClientKey::V6(_) => self.total / 4 + OVERHEAD,
        };
        if held.bytes.saturating_add(bytes) > self.total || of_client.saturating_add(bytes) > most {
            return false;
        }
        held.bytes += bytes;
        held.by_client.insert(client, of_client + bytes);
        held.order.push_back((until, client, bytes));
        true
    }

    /// Counts that an answer is given again. Returns false if that was done too often.
    pub(super) fn give(&self, key: AnswerKey) -> bool {
        let mut given = lock(&self.given);
        let times = given.entry(key);
        *times = times.saturating_add(1);
        *times <= TIMES
    }
}

impl HeldBytes {
    fn forget(&mut self, now: Timestamp) {
        while let Some((until, client, bytes)) = self.order.front().copied() {
            if now <= until {
                return;
            }
            self.order.pop_front();
            self.bytes -= bytes;
            if let Some(of_client) = self.by_client.get_mut(&client) {
                *of_client -= bytes;
                if *of_client == 0 {
                    self.by_client.remove(&client);
                }
            }
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
        let bounds = Bounds::new(8_000);
        let client = |last| ClientKey::V4(Ipv4Addr::new(10, 0, 0, last));
        for last in 0..4 {
            assert!(bounds.take(client(last), 2_000, at(10), at(0)));
            assert!(
                !bounds.take(client(last), 2_000, at(10), at(0)),
                "a quarter"
            );
        }
        assert!(!bounds.take(client(9), 1, at(10), at(0)), "the whole");
        assert!(!bounds.take(client(9), usize::MAX, at(10), at(10)));
        assert!(
            bounds.take(client(9), 2_000, at(20), at(11)),
            "they are over"
        );
        assert!(bounds.take(ClientKey::Unknown, 6_000, at(20), at(11)));
        let held = bounds.held.lock().unwrap();
        assert_eq!(
            (held.bytes, held.order.len(), held.by_client.len()),
            (8_000, 2, 2)
        );
    }

    #[test]
    fn an_answer_is_given_again_sixteen_times() {
        let bounds = Bounds::new(1);
        let key = AnswerKey::of_parts(&[b"a"]);
        assert!((0..16).all(|_| bounds.give(key)));
        assert!(!bounds.give(key) && bounds.give(AnswerKey::of_parts(&[b"b"])));
    }
}
