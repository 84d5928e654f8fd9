//! The shares of the networks that a client belongs to.

use super::*;
use crate::server::limit::Full;

/// How many slots so many networks of 64 bits get, which follow one another from this one on, each
/// as many as it can.
fn taken(limiter: &Arc<Limiter>, first: u64, count: u64) -> usize {
    let mut taken = 0_usize;
    for n in first..first + count {
        while let Ok(mut slot) = limiter.reserve(network(n), at(0)) {
            slot.node_called(at(0), life(300), LIMIT);
            taken += 1;
        }
    }
    taken
}

const SITE: u64 = 0x2001_0db8_0001_0000;

#[test]
fn the_networks_of_one_household_or_site_have_a_share() {
    let limiter = Arc::new(Limiter::new(UnpaidLimits::default()));
    assert_eq!(taken(&limiter, SITE, 1), 64);
    assert_eq!(
        taken(&limiter, SITE, 256),
        4 * 64 - 25 - 64,
        "a tenth is kept for those that paid"
    );
    assert_eq!(taken(&limiter, SITE, 65_536), 16 * 64 - 102 - 231);
    assert_eq!(retry_after(limiter.reserve(network(SITE), at(100))), 200);
    assert_eq!(
        limiter.reserve(network(SITE + 9), at(0)).unwrap_err().full,
        Full::Block(network(SITE).blocks().nth(1).unwrap())
    );
    assert!(limiter.reserve(client(1), at(0)).is_ok());
    assert_eq!(taken(&limiter, SITE + 65_536, 1), 64);
}

#[test]
fn a_network_never_has_more_than_half_of_all() {
    let share = |per_client, total| {
        let limits = *limiter(per_client, total, 0, 10).limits();
        let [household, site] = network(SITE)
            .blocks()
            .map(|block| limits.of_block(block))
            .collect::<Vec<_>>()[..]
        else {
            panic!("two networks")
        };
        (household, site)
    };
    assert_eq!(share(64, 10_000), (256, 1_024));
    assert_eq!(share(64, 400), (200, 200));
    assert_eq!(share(1, 1), (1, 1));
    assert_eq!(share(usize::MAX, 7), (3, 3));
}

#[test]
fn a_network_has_its_share_even_if_its_clients_are_not_told_apart() {
    let limiter = limiter(1, 100, 0, 2);
    let _held = [1, 2].map(|n| limiter.reserve(client(n), at(0)).unwrap());
    assert_eq!(taken(&limiter, SITE, 300), 8);
}
