//! What is kept for clients that have paid.

use super::*;

/// Whether a client may take what is kept for those that have paid.
fn is_payer(limiter: &Arc<Limiter>, client: ClientKey, now: u64) -> bool {
    let state = limiter.state();
    state
        .clients
        .get(&client)
        .and_then(|known| known.paid)
        .is_some_and(|paid| paid <= at(now))
}

#[test]
fn one_payment_makes_one_payer_whenever_and_however_often_it_is_redeemed() {
    let limiter = limiter(64, 100, 10, 100);
    limiter
        .reserve(client(1), at(0))
        .unwrap()
        .issued(hash(1), at(300));
    drop(limiter.reserve(client(9), at(1_000)).unwrap());
    // Its invoice has ended, and nobody remembers whose it was.
    limiter.paid(hash(1), client(2), at(1_000));
    assert!(is_payer(&limiter, client(2), 1_000));
    for n in 3..90 {
        limiter.paid(hash(1), client(n), at(1_000));
    }
    assert_eq!(limiter.state().payers.len(), 1);
    // The client that an invoice was made for goes before the one that presents it.
    limiter
        .reserve(client(3), at(1_000))
        .unwrap()
        .issued(hash(2), at(1_300));
    limiter.paid(hash(2), client(4), at(1_001));
    limiter.paid(hash(2), client(5), at(5_000));
    assert!(is_payer(&limiter, client(3), 5_000));
    assert!(![4, 5].iter().any(|n| is_payer(&limiter, client(*n), 5_000)));
    // One that is not known makes no payer.
    limiter.paid(hash(3), client(0), at(5_000));
    assert_eq!(limiter.state().payers.len(), 2);
}

#[test]
fn payers_that_come_late_make_room_in_a_full_table_and_never_more_than_half_of_it() {
    let limiter = limiter(64, 100, 10, 4);
    for n in 0..20 {
        limiter.paid(hash(n), client(n + 1), at(u64::from(n)));
        let state = limiter.state();
        assert!(state.clients.len() <= 4 && state.payers.len() <= 2);
        assert!(state.clients.contains_key(&client(n + 1)));
    }
    let _held: Vec<_> = (50..54)
        .map(|n| limiter.reserve(client(n), at(20)).unwrap())
        .collect();
    limiter.paid(hash(99), client(99), at(20));
    assert!(limiter.state().clients.len() <= 4);
}

#[test]
fn strangers_cannot_shut_out_those_who_paid_before() {
    let limiter = limiter(64, 10, 10, 100);
    limiter
        .reserve(client(1), at(0))
        .unwrap()
        .issued(hash(1), at(300));
    limiter.paid(hash(1), client(1), at(5));
    let strangers: Vec<_> = (0..9)
        .map(|n| limiter.reserve(client(n + 2), at(10)).unwrap())
        .collect();
    assert!(limiter.reserve(client(99), at(10)).is_err());
    assert!(limiter.reserve(client(0), at(10)).is_err());
    let payer = limiter.reserve(client(1), at(10)).unwrap();
    assert!(limiter.reserve(client(1), at(10)).is_err());
    drop((payer, strangers));
    // It is not remembered for ever.
    let _strangers: Vec<_> = (0..9)
        .map(|n| limiter.reserve(client(n + 2), at(86_500)).unwrap())
        .collect();
    assert!(limiter.reserve(client(1), at(86_500)).is_err());
}

#[test]
fn a_new_payer_takes_no_place_from_another_unless_the_table_is_full() {
    let limiter = limiter(64, 100, 10, 4);
    limiter.paid(hash(1), client(1), at(1));
    limiter.paid(hash(2), client(2), at(2));
    assert!([1, 2].iter().all(|n| is_payer(&limiter, client(*n), 2)));
    let _held = [10, 11].map(|n| limiter.reserve(client(n), at(3)).unwrap());
    limiter.paid(hash(3), client(3), at(4));
    assert_eq!(
        [1, 2, 3].map(|n| is_payer(&limiter, client(n), 4)),
        [false, true, true]
    );
}

#[test]
fn who_paid_first_is_forgotten_first_and_only_then() {
    let limiter = limiter(64, 100, 10, 100);
    limiter.paid(hash(1), client(1), at(0));
    limiter.paid(hash(2), client(2), at(1_000));
    for (now, payers) in [
        (86_400, [true, true]),
        (86_401, [false, true]),
        (87_401, [false, false]),
    ] {
        drop(limiter.reserve(client(9), at(now)).unwrap());
        assert_eq!(
            [1, 2].map(|n| is_payer(&limiter, client(n), now)),
            payers,
            "at {now}"
        );
    }
}

#[test]
fn who_presents_the_payment_of_a_client_without_an_address_has_paid() {
    let limiter = limiter(64, 100, 10, 100);
    let slot = limiter.reserve(client(0), at(0)).unwrap();
    slot.issued(hash(1), at(300));
    limiter.paid(hash(1), client(7), at(1));
    assert!(is_payer(&limiter, client(7), 1));
}

#[test]
fn a_client_waits_for_the_last_of_all_that_is_full() {
    let limiter = limiter(1, 2, 0, 100);
    for (n, end) in [(1, 300), (2, 100)] {
        let slot = limiter.reserve(client(n), at(0)).unwrap();
        slot.issued(hash(n), at(end));
    }
    assert_eq!(retry_after(limiter.reserve(client(1), at(10))), 290);
    assert_eq!(retry_after(limiter.reserve(client(3), at(10))), 90);
}
