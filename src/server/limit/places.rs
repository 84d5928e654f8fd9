//! Which numbers the unpaid invoices of a client may count under.
//!
//! All clients together have one number for each unpaid invoice that they may hold. A site's network
//! (48 bits) may use an arc of these numbers as long as its share, a household's (56 bits) an arc of
//! the site's, and a client an arc of the household's. So a number of its own for each invoice keeps
//! every one of these limits.

use sha2::{Digest as _, Sha256};

use super::{day_counts::Holder, limits::UnpaidLimits};
use crate::server::address::ClientKey;

/// An arc of numbers, for one client.
#[derive(Debug)]
pub(super) struct Places {
    /// The first number of the part of all numbers that this arc is in.
    first: u64,
    /// How many numbers the client has.
    pub(super) own: u64,
    /// The beginning of each arc, and how many numbers there are around it. The narrowest is first.
    arcs: Vec<(u64, u64)>,
}

impl Places {
    /// Returns the numbers that every client may use: `most` of them, or fewer in a small table.
    /// Nobody can choose an address whose arc is that of another client without knowing `salt`.
    pub(super) fn open(
        client: ClientKey,
        most: usize,
        limits: &UnpaidLimits,
        salt: &[u8],
    ) -> Option<Self> {
        let size = |share| limits.open(share, false);
        Self::within(client, most, limits, size, salt)
    }

    /// Returns the numbers that are reserved for clients that paid, if there are any.
    pub(super) fn reserved(client: ClientKey, limits: &UnpaidLimits, salt: &[u8]) -> Option<Self> {
        let size = |share| share - limits.open(share, false);
        let most = size(limits.per_client).max(1);
        let first = limits.open(limits.total, false) as u64;
        let places = Self::within(client, most, limits, size, salt)?;
        Some(Self { first, ..places })
    }

    /// Returns the number at a position of the arc.
    pub(super) fn number(&self, position: u64) -> u64 {
        let inner = |at: u64, (begin, around): &(u64, u64)| (begin + at) % around;
        self.first + self.arcs.iter().fold(position % self.own, inner)
    }

    /// Returns all numbers of the arc.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        (0..self.own).map(|at| self.number(at))
    }

    fn within(
        client: ClientKey,
        most: usize,
        limits: &UnpaidLimits,
        size: impl Fn(usize) -> usize,
        salt: &[u8],
    ) -> Option<Self> {
        let blocks = client.blocks().map(|block| limits.of_block(block));
        let around: Vec<_> = blocks
            .chain([limits.total])
            .map(|all| size(all) as u64)
            .collect();
        let smallest = around.iter().copied().min().filter(|size| *size > 0)?;
        let own = match client {
            // These clients have no limit of their own.
            ClientKey::Unknown => smallest,
            ClientKey::V4(_) | ClientKey::V6(_) => smallest.min(most as u64),
        };
        let begins = Holder::all(client).map(|holder| begin(holder, salt));
        let arcs = begins
            .zip(around)
            .map(|(begin, around)| (begin % around, around));
        Some(Self {
            first: 0,
            own,
            arcs: arcs.collect(),
        })
    }
}

fn begin(holder: Holder, salt: &[u8]) -> u64 {
    let (kind, address) = holder.address();
    let hash = Sha256::new()
        .chain_update(salt)
        .chain_update([kind])
        .chain_update(address)
        .finalize();
    // A sum with a position must not overflow.
    hash.iter()
        .take(7)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        net::{Ipv4Addr, Ipv6Addr},
    };

    use proptest::prelude::*;

    use super::*;

    fn numbers(places: &Places) -> HashSet<u64> {
        places.numbers().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_client_network_or_crowd_has_more_numbers_than_its_limit(
            per_client in 1_usize..100,
            total in 1_usize..3_000,
            kept_percent in 0_usize..=100,
            site: u64,
            salt: [u8; 16],
        ) {
            let limits = UnpaidLimits { per_client, total, kept_percent, clients: 9 };
            let (mut household, mut whole, mut all) = (HashSet::new(), HashSet::new(), HashSet::new());
            for n in (0..512).step_by(23) {
                let network = u128::from(site << 16 | n) << 64;
                let client = ClientKey::of(Ipv6Addr::from(network).into());
                let v4 = ClientKey::V4(Ipv4Addr::from(n as u32));
                for client in [client, v4, ClientKey::Unknown] {
                    let open = Places::open(client, per_client, &limits, &salt);
                    let reserved = Places::reserved(client, &limits, &salt);
                    let own = open.iter().map(numbers).fold(HashSet::new(), |a, b| &a | &b);
                    let kept = reserved.iter().map(numbers).fold(HashSet::new(), |a, b| &a | &b);
                    prop_assert!(own.is_disjoint(&kept));
                    if client != ClientKey::Unknown {
                        prop_assert!(own.len() <= per_client);
                        prop_assert!(kept.len() <= (per_client - limits.open(per_client, false)).max(1));
                    }
                    all.extend(own.iter().chain(&kept).copied());
                    if matches!(client, ClientKey::V6(_)) {
                        whole.extend(own.iter().chain(&kept).copied());
                        if n < 256 {
                            household.extend(own.into_iter().chain(kept));
                        }
                    }
                }
            }
            let share = |clients: usize| (per_client * clients).min((total / 2).max(1));
            prop_assert!(household.len() <= share(4));
            prop_assert!(whole.len() <= share(16));
            prop_assert!(all.iter().all(|number| *number < total as u64));
        }

        #[test]
        fn a_client_that_pays_has_the_numbers_that_it_had_before(most in 1_usize..64, at: [u8; 8]) {
            let limits = UnpaidLimits::default();
            let [before, after] = [most, 4 * most].map(|most| {
                Places::open(ClientKey::V6(at), most, &limits, b"salt").map(|it| numbers(&it))
            });
            prop_assert!(before.unwrap().is_subset(&after.unwrap()));
        }
    }
}
