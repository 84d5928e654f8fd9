//! So many free requests a day for each client that is known.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
};

use crate::{clock::Timestamp, server::address::ClientKey};

/// Clients that are counted in one day. Those beyond get nothing for free.
const CLIENTS: usize = 100_000;

const DAY_SECONDS: u64 = 24 * 3600;

/// Counts free requests by days of UTC. Its memory is bounded and all of it goes at the end of a day.
#[derive(Debug)]
pub(crate) struct Allowance {
    per_day: NonZeroU32,
    clients: usize,
    today: Mutex<Today>,
}

#[derive(Debug, Default)]
struct Today {
    day: u64,
    taken: HashMap<ClientKey, u32>,
}

impl Allowance {
    pub(crate) fn new(per_day: NonZeroU32) -> Self {
        Self { per_day, clients: CLIENTS, today: Mutex::default() }
    }

    /// Takes one free request, or answers that none is left. Unknown clients have none.
    #[must_use = "what was taken is spent"]
    pub(crate) fn take(&self, client: ClientKey, now: Timestamp) -> bool {
        if client == ClientKey::Unknown {
            return false;
        }
        let day = now.as_unix_seconds() / DAY_SECONDS;
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that wavers about midnight gives no second allowance; one that was days ahead is forgiven.
        if day > today.day || day.saturating_add(1) < today.day {
            *today = Today { day, taken: HashMap::new() };
        }
        let has_room = today.taken.len() < self.clients;
        match today.taken.get_mut(&client) {
            Some(taken) if *taken < self.per_day.get() => *taken += 1,
            None if has_room => drop(today.taken.insert(client, 1)),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const NOON: u64 = 20_000 * DAY_SECONDS + DAY_SECONDS / 2;

    fn client(n: u8) -> ClientKey {
        ClientKey::V4(Ipv4Addr::new(192, 0, 2, n))
    }

    fn taken(allowance: &Allowance, client: ClientKey, now: u64) -> usize {
        (0..10).filter(|_| allowance.take(client, Timestamp::from_unix_seconds(now))).count()
    }

    #[test]
    fn each_client_has_so_many_a_day_and_no_more() {
        let allowance = Allowance::new(NonZeroU32::new(3).unwrap());
        assert_eq!(taken(&allowance, client(1), NOON), 3);
        assert_eq!(taken(&allowance, client(1), NOON + 10), 0);
        assert_eq!(taken(&allowance, client(2), NOON), 3);
        assert_eq!(taken(&allowance, client(1), NOON + DAY_SECONDS), 3);
        assert_eq!(taken(&allowance, client(1), NOON), 0);
        assert_eq!(taken(&allowance, client(1), NOON + DAY_SECONDS), 0);
        assert_eq!(taken(&allowance, client(1), NOON - 5 * DAY_SECONDS), 3);
    }

    #[test]
    fn unknown_clients_and_those_beyond_the_table_have_none() {
        let allowance = Allowance { clients: 2, ..Allowance::new(NonZeroU32::MIN) };
        assert_eq!(taken(&allowance, ClientKey::Unknown, NOON), 0);
        assert_eq!((1..9).map(|n| taken(&allowance, client(n), NOON)).sum::<usize>(), 2);
        assert_eq!(taken(&allowance, client(9), NOON + DAY_SECONDS), 1);
    }

    #[test]
    fn racing_requests_of_one_client_share_its_allowance() {
        let allowance = Allowance::new(NonZeroU32::new(50).unwrap());
        let taken: usize = std::thread::scope(|scope| {
            let tasks: Vec<_> = (0..16).map(|_| scope.spawn(|| taken(&allowance, client(1), NOON))).collect();
            tasks.into_iter().map(|task| task.join().unwrap()).sum()
        });
        assert_eq!(taken, 50);
    }
}
