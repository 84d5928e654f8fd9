use std::{
    collections::HashMap,
    net::{Ipv4Addr, Ipv6Addr},
};

use proptest::prelude::*;

use super::*;

const fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn client(n: u8) -> ClientKey {
    if n == 0 { ClientKey::Unknown } else { ClientKey::V4(Ipv4Addr::new(192, 0, 2, n)) }
}

fn network(n: u64) -> ClientKey {
    ClientKey::of(Ipv6Addr::from(u128::from(n) << 64).into())
}

const fn life(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const LIMIT: Duration = life(10);

const fn hash(n: u8) -> PaymentHash {
    PaymentHash::from_bytes([n; 32])
}

fn limiter(per_client: usize, total: usize, kept_percent: usize, clients: usize) -> Arc<Limiter> {
    Arc::new(Limiter::new(UnpaidLimits { per_client, total, kept_percent, clients }))
}

fn retry_after(refused: Result<Slot, TooMany>) -> u64 {
    refused.unwrap_err().retry_after.as_secs()
}

#[test]
fn one_client_cannot_take_all() {
    let limiter = limiter(2, 10, 0, 10);
    limiter.reserve(client(1), at(0)).unwrap().issued(hash(1), at(300));
    limiter.reserve(client(1), at(10)).unwrap().issued(hash(2), at(310));
    assert_eq!(retry_after(limiter.reserve(client(1), at(100))), 200);
    assert!(limiter.reserve(client(2), at(100)).is_ok());
    assert!(limiter.reserve(client(1), at(300)).is_err());
    assert!(limiter.reserve(client(1), at(301)).is_ok());
    limiter.paid(hash(2), client(1), at(301));
    limiter.paid(hash(2), client(1), at(301));
    assert!(limiter.state().slots.is_empty());
}

#[test]
fn a_dropped_request_keeps_its_slot_once_the_node_was_asked() {
    let limiter = limiter(1, 10, 0, 10);
    drop(limiter.reserve(client(1), at(0)).unwrap());
    let mut slot = limiter.reserve(client(1), at(0)).unwrap();
    assert_eq!(retry_after(limiter.reserve(client(1), at(0))), 1);
    slot.asked(at(0), life(300), LIMIT);
    drop(slot);
    assert_eq!(retry_after(limiter.reserve(client(1), at(1))), 299);
    let mut slot = limiter.reserve(client(1), at(301)).unwrap();
    slot.asked(at(301), life(300), LIMIT);
    slot.not_issued(CallEnd::Refused);
    let mut slot = limiter.reserve(client(1), at(301)).unwrap();
    slot.asked(at(301), life(300), LIMIT);
    slot.issued(hash(1), at(500));
    assert_eq!(retry_after(limiter.reserve(client(1), at(301))), 199);
}

/// A call that the node has not answered.
fn called(limiter: &Arc<Limiter>, n: u8, now: u64) -> Slot {
    let mut slot = limiter.reserve(client(n), at(now)).unwrap();
    slot.asked(at(now), life(300), LIMIT);
    slot
}

#[tokio::test(start_paused = true)]
async fn requests_dropped_while_the_node_is_silent_hold_their_slots_for_a_moment_only() {
    let seconds = |n| tokio::time::advance(life(n));
    let limiter = limiter(1, 10, 0, 10);
    // It is not known yet that the node hangs: these two are as good as reset.
    drop((called(&limiter, 1, 0), called(&limiter, 2, 0)));
    assert_eq!(retry_after(limiter.reserve(client(1), at(1))), 299);
    // Nobody waits until the time limit, but one waits for longer than a node that answers would take.
    let patient = called(&limiter, 3, 1);
    seconds(3).await;
    drop(patient);
    assert_eq!(retry_after(limiter.reserve(client(1), at(4))), 6);
    assert_eq!(retry_after(limiter.reserve(client(3), at(4))), 7);
    // From now on all count as unanswered, those too that are dropped at once.
    drop(called(&limiter, 4, 5));
    assert_eq!(retry_after(limiter.reserve(client(4), at(5))), 10);
    assert!([1, 2, 3, 4].map(|n| limiter.reserve(client(n), at(16))).iter().all(Result::is_ok));

    // An answer ends it.
    called(&limiter, 5, 16).issued(hash(5), at(316));
    drop(called(&limiter, 6, 16));
    assert_eq!(retry_after(limiter.reserve(client(6), at(17))), 299);
}

#[tokio::test(start_paused = true)]
async fn a_slow_node_that_answers_others_is_not_silent() {
    let seconds = |n| tokio::time::advance(life(n));
    let limiter = limiter(1, 10, 0, 10);
    let slow = called(&limiter, 1, 0);
    seconds(2).await;
    slow.issued(hash(1), at(300));
    // It takes two seconds, so seven are not too long, and one that is answered meanwhile counts.
    let reset = called(&limiter, 2, 2);
    seconds(7).await;
    drop(reset);
    assert_eq!(retry_after(limiter.reserve(client(2), at(9))), 293);
    let (reset, other) = (called(&limiter, 3, 9), called(&limiter, 4, 9));
    seconds(9).await;
    other.issued(hash(4), at(310));
    drop(reset);
    assert_eq!(retry_after(limiter.reserve(client(3), at(18))), 291);
}

#[test]
fn a_node_that_is_lost_frees_what_was_dropped_since_its_last_answer_and_nothing_before() {
    let limiter = limiter(1, 10, 0, 10);
    drop(called(&limiter, 1, 0));
    called(&limiter, 2, 0).issued(hash(2), at(300));
    drop(called(&limiter, 3, 0));
    called(&limiter, 4, 1).not_issued(CallEnd::Unreachable);
    let waits = [1, 2, 3, 4].map(|n| retry_after(limiter.reserve(client(n), at(1))));
    assert_eq!(waits, [299, 299, 9, 10]);
}

#[test]
fn what_the_node_answered_says_how_long_a_slot_is_held() {
    use CallEnd::{BadAnswer, HungUp, Refused, TimedOut, Unreachable, WrongInvoice};
    for (why, wait) in [(BadAnswer, 10), (HungUp, 300), (Refused, 0), (TimedOut, 10), (Unreachable, 10), (WrongInvoice, 300)] {
        let limiter = limiter(1, 10, 0, 10);
        called(&limiter, 1, 0).not_issued(why);
        let refused = limiter.reserve(client(1), at(0)).err().map_or(0, |full| full.retry_after.as_secs());
        assert_eq!(refused, wait, "{why:?}");
    }
}

/// How many slots so many networks of 64 bits get, which follow one another from this one on, each as many as it can.
fn taken(limiter: &Arc<Limiter>, first: u64, count: u64) -> usize {
    let mut taken = 0_usize;
    for n in first..first + count {
        while let Ok(mut slot) = limiter.reserve(network(n), at(0)) {
            slot.asked(at(0), life(300), LIMIT);
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
    assert_eq!(taken(&limiter, SITE, 256), 4 * 64 - 25 - 64, "a tenth is kept for those that paid");
    assert_eq!(taken(&limiter, SITE, 65_536), 16 * 64 - 102 - 231);
    assert_eq!(retry_after(limiter.reserve(network(SITE), at(100))), 200);
    assert_eq!(limiter.reserve(network(SITE + 9), at(0)).unwrap_err().full, Full::Block(network(SITE).blocks().nth(1).unwrap()));
    assert!(limiter.reserve(client(1), at(0)).is_ok());
    assert_eq!(taken(&limiter, SITE + 65_536, 1), 64);
}

#[test]
fn a_network_never_has_more_than_half_of_all() {
    let share = |per_client, total| {
        let limits = *limiter(per_client, total, 0, 10).limits();
        let [household, site] = network(SITE).blocks().map(|block| limits.of_block(block)).collect::<Vec<_>>()[..] else {
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

/// Whether a client may take what is kept for those that have paid.
fn is_payer(limiter: &Arc<Limiter>, client: ClientKey, now: u64) -> bool {
    let state = limiter.state();
    state.clients.get(&client).and_then(|known| known.paid).is_some_and(|paid| paid <= at(now))
}

#[test]
fn one_payment_makes_one_payer_whenever_and_however_often_it_is_redeemed() {
    let limiter = limiter(64, 100, 10, 100);
    limiter.reserve(client(1), at(0)).unwrap().issued(hash(1), at(300));
    drop(limiter.reserve(client(9), at(1_000)).unwrap());
    // Its invoice has ended, and nobody remembers whose it was.
    limiter.paid(hash(1), client(2), at(1_000));
    assert!(is_payer(&limiter, client(2), 1_000));
    for n in 3..90 {
        limiter.paid(hash(1), client(n), at(1_000));
    }
    assert_eq!(limiter.state().payers.len(), 1);
    // The client that an invoice was made for goes before the one that presents it.
    limiter.reserve(client(3), at(1_000)).unwrap().issued(hash(2), at(1_300));
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
    let _held: Vec<_> = (50..54).map(|n| limiter.reserve(client(n), at(20)).unwrap()).collect();
    limiter.paid(hash(99), client(99), at(20));
    assert!(limiter.state().clients.len() <= 4);
}

#[test]
fn strangers_cannot_shut_out_those_who_paid_before() {
    let limiter = limiter(64, 10, 10, 100);
    limiter.reserve(client(1), at(0)).unwrap().issued(hash(1), at(300));
    limiter.paid(hash(1), client(1), at(5));
    let strangers: Vec<_> = (0..9).map(|n| limiter.reserve(client(n + 2), at(10)).unwrap()).collect();
    assert!(limiter.reserve(client(99), at(10)).is_err());
    assert!(limiter.reserve(client(0), at(10)).is_err());
    let payer = limiter.reserve(client(1), at(10)).unwrap();
    assert!(limiter.reserve(client(1), at(10)).is_err());
    drop((payer, strangers));
    // It is not remembered for ever.
    let _strangers: Vec<_> = (0..9).map(|n| limiter.reserve(client(n + 2), at(86_500)).unwrap()).collect();
    assert!(limiter.reserve(client(1), at(86_500)).is_err());
}

#[test]
fn clients_beyond_the_table_share_one_count_with_unknown_ones() {
    let limiter = limiter(1, 6, 0, 2);
    let _held: Vec<_> = [1, 2, 3, 3, 0, 0].map(|n| limiter.reserve(client(n), at(0)).unwrap()).into();
    assert!(limiter.reserve(client(4), at(0)).is_err());
    assert_eq!(limiter.state().clients.len(), 2);
}

#[test]
fn racing_requests_never_get_more_than_there_is() {
    let limiter = limiter(5, 20, 0, 100);
    let slots: Vec<_> = std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..64_u8)
            .map(|n| {
                let limiter = &limiter;
                scope.spawn(move || (0..10).filter_map(|_| limiter.reserve(client(n % 6 + 1), at(0)).ok()).collect::<Vec<_>>())
            })
            .collect();
        tasks.into_iter().flat_map(|task| task.join().unwrap()).collect()
    });
    assert_eq!(slots.len(), 20);
    assert!(limiter.state().clients.values().all(|known| known.held <= 5));
    drop(slots);
    assert!(limiter.state().slots.is_empty() && limiter.state().clients.is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Reserve(u8),
    Asked(usize, u64),
    Issued(usize, u8, u64),
    NotIssued(usize, CallEnd),
    Dropped(usize),
    Paid(u8, u8),
    Later(u64),
    Earlier(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..10_u8).prop_map(Step::Reserve),
        2 => (0..8_usize, 0..400_u64).prop_map(|(slot, life)| Step::Asked(slot, life)),
        3 => (0..8_usize, 0..9_u8, 0..400_u64).prop_map(|(slot, hash, life)| Step::Issued(slot, hash, life)),
        2 => (0..8_usize, call_end()).prop_map(|(slot, why)| Step::NotIssued(slot, why)),
        1 => (0..8_usize).prop_map(Step::Dropped),
        2 => (0..9_u8, 0..10_u8).prop_map(|(hash, client)| Step::Paid(hash, client)),
        2 => (0..300_u64).prop_map(Step::Later),
        1 => (0..300_u64).prop_map(Step::Earlier),
    ]
}

fn call_end() -> impl Strategy<Value = CallEnd> {
    use CallEnd::{BadAnswer, HungUp, Refused, TimedOut, Unreachable, WrongInvoice};
    prop::sample::select(vec![BadAnswer, HungUp, Refused, TimedOut, Unreachable, WrongInvoice])
}

/// One of a few clients: unknown, of IPv4, or networks of 64 bits in two networks of 56 bits of one of 48.
fn someone(n: u8) -> ClientKey {
    if n < 5 { client(n) } else { network(0x2001_0db8_0001_0000 | (u64::from(n % 2) << 8) | u64::from(n)) }
}

fn check(state: &State, limits: &UnpaidLimits) {
    let mut by_client: HashMap<ClientKey, usize> = HashMap::new();
    for (id, held) in &state.slots {
        *by_client.entry(held.client).or_default() += 1;
        assert!(held.end.is_none_or(|end| state.ends.contains(&(end, *id))));
        assert!(held.end.is_none_or(|end| state.ends_by_client.contains(&(held.client, end, *id))));
    }
    assert!(state.slots.len() <= limits.total && state.clients.len() <= limits.clients);
    for (client, count) in by_client.iter().filter(|(client, _)| **client != ClientKey::Unknown) {
        assert!(*count <= limits.per_client);
        assert_eq!(state.clients.get(client).map(|known| known.held), Some(*count));
    }
    assert!(state.clients.iter().all(|(client, known)| known.held == by_client.get(client).copied().unwrap_or(0)));
    assert!(state.clients.values().all(|known| known.held > 0 || known.paid.is_some()));
    assert!(state.clients.iter().all(|(client, known)| known.paid.is_none_or(|paid| state.payers.contains(&(paid, *client)))));
    let mut by_block: HashMap<Block, usize> = HashMap::new();
    for (id, held) in &state.slots {
        for block in held.asker.blocks() {
            *by_block.entry(block).or_default() += 1;
            assert!(held.end.is_none_or(|end| state.ends_by_block.contains(&(block, end, *id))));
        }
    }
    assert!(by_block.iter().all(|(block, held)| *held <= limits.of_block(*block)));
    assert_eq!(state.by_block, by_block);
    let of_blocks = state.slots.values().filter(|held| held.end.is_some()).flat_map(|held| held.asker.blocks()).count();
    assert_eq!(state.ends_by_block.len(), of_blocks);
    assert!(state.silence.dropped.keys().all(|id| state.slots.get(id).is_some_and(|held| held.hash.is_none())));
    let bound = state.slots.values().filter(|held| held.end.is_some()).count();
    assert_eq!((state.ends.len(), state.ends_by_client.len()), (bound, bound));
    assert!(state.payers.len() <= state.clients.len());
    assert!(state.by_hash.iter().all(|(hash, id)| state.slots.get(id).is_some_and(|held| held.hash == Some(*hash))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn no_order_of_events_exceeds_a_limit_or_loses_a_slot(steps in prop::collection::vec(step(), 0..120)) {
        let limiter = limiter(3, 16, 25, 5);
        let mut now = 1_000;
        let mut slots: Vec<Slot> = Vec::new();
        for step in steps {
            match step {
                Step::Reserve(n) => slots.extend(limiter.reserve(someone(n), at(now))),
                Step::Asked(i, seconds) => {
                    slots.get_mut(i).into_iter().for_each(|slot| slot.asked(at(now), life(seconds), LIMIT));
                }
                Step::Issued(i, n, life) if i < slots.len() => slots.remove(i).issued(hash(n), at(now + life)),
                Step::NotIssued(i, why) if i < slots.len() => slots.remove(i).not_issued(why),
                Step::Dropped(i) if i < slots.len() => drop(slots.remove(i)),
                Step::Issued(..) | Step::NotIssued(..) | Step::Dropped(_) => {}
                Step::Paid(n, presenter) => limiter.paid(hash(n), someone(presenter), at(now)),
                Step::Later(by) => now += by,
                Step::Earlier(by) => now = now.saturating_sub(by),
            }
            check(&limiter.state(), &limiter.limits);
            prop_assert!(slots.iter().all(|slot| limiter.state().slots.contains_key(&slot.id)));
        }
        drop(slots);
        drop(limiter.reserve(client(1), at(10_000_000)));
        let state = limiter.state();
        prop_assert!(state.slots.is_empty() && state.clients.is_empty() && state.by_hash.is_empty() && state.payers.is_empty());
        prop_assert!(state.by_block.is_empty() && state.ends_by_block.is_empty() && state.silence.dropped.is_empty());
    }
}
