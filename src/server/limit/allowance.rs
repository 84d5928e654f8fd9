//! Free requests: a number a day for each client with a known address.

use std::{collections::HashMap, num::NonZeroU32, sync::Mutex};

use crate::{
    clock::Timestamp,
    lock::lock,
    server::address::{Block, ClientKey},
};

/// How many clients are counted in one day. Further ones get no free requests.
const CLIENTS: usize = 100_000;

/// One network may use up to 1/64 of them.
const BLOCKS: usize = 64;

const DAY_SECONDS: u64 = 24 * 3600;

/// Counts free requests by days of UTC. Its memory is bounded, and freed at the end of each day.
///
/// The networks around an IPv6 client share an allowance, as they share unpaid invoices: a network
/// of 56 bits gets that of four clients, one of 48 bits that of sixteen.
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
    blocks: HashMap<Block, Allowed>,
}

/// The counts of all clients of one network.
#[derive(Clone, Copy, Debug, Default)]
struct Allowed {
    requests: u64,
    clients: usize,
}

impl Allowance {
    pub(crate) fn new(per_day: NonZeroU32) -> Self {
        Self {
            per_day,
            clients: CLIENTS,
            today: Mutex::default(),
        }
    }

    /// Takes one free request. Returns false if none is left. Unknown clients have none.
    #[must_use = "what was taken is spent"]
    pub(crate) fn take(&self, client: ClientKey, now: Timestamp) -> bool {
        if client == ClientKey::Unknown {
            return false;
        }
        let day = now.as_unix_seconds() / DAY_SECONDS;
        let mut today = lock(&self.today);
        // A clock that jumps back over midnight gives no second allowance. One that was days ahead
        // may be corrected.
        if day > today.day || day.saturating_add(1) < today.day {
            *today = Today {
                day,
                ..Today::default()
            };
        }
        let taken = today.taken.get(&client).copied();
        let is_new = taken.is_none();
        if taken.unwrap_or_default() >= self.per_day.get()
            || is_new && today.taken.len() >= self.clients
        {
            return false;
        }
        let is_used_up = |block: Block| {
            let Allowed { requests, clients } =
                today.blocks.get(&block).copied().unwrap_or_default();
            requests >= u64::from(self.per_day.get()) * block.clients() as u64
                || is_new && clients >= (self.clients / BLOCKS).max(1)
        };
        if client.blocks().any(is_used_up) {
            return false;
        }
        *today.taken.entry(client).or_default() += 1;
        for block in client.blocks() {
            let taken = today.blocks.entry(block).or_default();
            taken.requests += 1;
            taken.clients += usize::from(is_new);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const NOON: u64 = 20_000 * DAY_SECONDS + DAY_SECONDS / 2;

    fn client(n: u8) -> ClientKey {
        ClientKey::V4(Ipv4Addr::new(192, 0, 2, n))
    }

    fn taken(allowance: &Allowance, client: ClientKey, now: u64) -> usize {
        (0..10)
            .filter(|_| allowance.take(client, Timestamp::from_unix_seconds(now)))
            .count()
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
        let allowance = Allowance {
            clients: 2,
            ..Allowance::new(NonZeroU32::MIN)
        };
        assert_eq!(taken(&allowance, ClientKey::Unknown, NOON), 0);
        assert_eq!(
            (1..9)
                .map(|n| taken(&allowance, client(n), NOON))
                .sum::<usize>(),
            2
        );
        assert_eq!(taken(&allowance, client(9), NOON + DAY_SECONDS), 1);
    }

    /// The allowances that so many networks of 64 bits get, which follow one another from this one
    /// on.
    fn of_networks(allowance: &Allowance, first: u64, count: u64) -> usize {
        let network = |n: u64| ClientKey::of(Ipv6Addr::from(u128::from(first + n) << 64).into());
        (0..count).map(|n| taken(allowance, network(n), NOON)).sum()
    }

    #[test]
    fn the_networks_of_one_household_or_site_share_its_allowance() {
        const SITE: u64 = 0x2001_0db8_0001_0000;
        let allowance = Allowance::new(NonZeroU32::new(3).unwrap());
        assert_eq!(of_networks(&allowance, SITE, 1), 3);
        assert_eq!(
            of_networks(&allowance, SITE, 256),
            9,
            "four clients' worth for 56 bits"
        );
        assert_eq!(
            of_networks(&allowance, SITE, 65_536),
            36,
            "sixteen clients' worth for 48 bits"
        );
        assert_eq!(of_networks(&allowance, SITE + 65_536, 1), 3);
        assert_eq!(taken(&allowance, client(1), NOON), 3);
    }

    #[test]
    fn one_network_cannot_fill_the_table() {
        let allowance = Allowance {
            clients: 128,
            ..Allowance::new(NonZeroU32::MAX)
        };
        assert_eq!(of_networks(&allowance, 1 << 32, 128), 20);
        assert_eq!(of_networks(&allowance, 2 << 32, 1), 10);
    }

    #[test]
    fn racing_requests_of_one_client_share_its_allowance() {
        let allowance = Allowance::new(NonZeroU32::new(50).unwrap());
        let taken: usize = std::thread::scope(|scope| {
            let tasks: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| taken(&allowance, client(1), NOON)))
                .collect();
            tasks.into_iter().map(|task| task.join().unwrap()).sum()
        });
        assert_eq!(taken, 50);
    }
}
