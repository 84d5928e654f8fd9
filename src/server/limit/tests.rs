use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

const fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn client(n: u8) -> ClientKey {
    if n == 0 { ClientKey::Unknown } else { ClientKey::V4(Ipv4Addr::new(192, 0, 2, n)) }
}

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
    limiter.paid(hash(2), at(301));
    limiter.paid(hash(2), at(301));
    assert!(limiter.state().slots.is_empty());
}

#[test]
fn a_dropped_request_keeps_its_slot_once_the_node_was_asked() {
    let limiter = limiter(1, 10, 0, 10);
    drop(limiter.reserve(client(1), at(0)).unwrap());
    let mut slot = limiter.reserve(client(1), at(0)).unwrap();
    assert_eq!(retry_after(limiter.reserve(client(1), at(0))), 1);
    slot.asked(at(300));
    drop(slot);
    assert_eq!(retry_after(limiter.reserve(client(1), at(1))), 299);
    let mut slot = limiter.reserve(client(1), at(301)).unwrap();
    slot.asked(at(601));
    slot.not_issued();
    let mut slot = limiter.reserve(client(1), at(301)).unwrap();
    slot.asked(at(601));
    slot.issued(hash(1), at(500));
    assert_eq!(retry_after(limiter.reserve(client(1), at(301))), 199);
}

#[test]
fn strangers_cannot_shut_out_those_who_paid_before() {
    let limiter = limiter(64, 10, 10, 100);
    limiter.reserve(client(1), at(0)).unwrap().issued(hash(1), at(300));
    limiter.paid(hash(1), at(5));
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
    NotIssued(usize),
    Dropped(usize),
    Paid(u8),
    Later(u64),
    Earlier(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..5_u8).prop_map(Step::Reserve),
        2 => (0..8_usize, 0..400_u64).prop_map(|(slot, life)| Step::Asked(slot, life)),
        3 => (0..8_usize, 0..9_u8, 0..400_u64).prop_map(|(slot, hash, life)| Step::Issued(slot, hash, life)),
        1 => (0..8_usize).prop_map(Step::NotIssued),
        1 => (0..8_usize).prop_map(Step::Dropped),
        2 => (0..9_u8).prop_map(Step::Paid),
        2 => (0..300_u64).prop_map(Step::Later),
        1 => (0..300_u64).prop_map(Step::Earlier),
    ]
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
    let bound = state.slots.values().filter(|held| held.end.is_some()).count();
    assert_eq!((state.ends.len(), state.ends_by_client.len()), (bound, bound));
    assert!(state.payers.len() <= state.clients.len());
    assert!(state.by_hash.iter().all(|(hash, id)| state.slots.get(id).is_some_and(|held| held.hash == Some(*hash))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn no_order_of_events_exceeds_a_limit_or_loses_a_slot(steps in prop::collection::vec(step(), 0..120)) {
        let limiter = limiter(3, 8, 25, 3);
        let mut now = 1_000;
        let mut slots: Vec<Slot> = Vec::new();
        for step in steps {
            match step {
                Step::Reserve(n) => slots.extend(limiter.reserve(client(n), at(now))),
                Step::Asked(i, life) => slots.get_mut(i).into_iter().for_each(|slot| slot.asked(at(now + life))),
                Step::Issued(i, n, life) if i < slots.len() => slots.remove(i).issued(hash(n), at(now + life)),
                Step::NotIssued(i) if i < slots.len() => slots.remove(i).not_issued(),
                Step::Dropped(i) if i < slots.len() => drop(slots.remove(i)),
                Step::Issued(..) | Step::NotIssued(_) | Step::Dropped(_) => {}
                Step::Paid(n) => limiter.paid(hash(n), at(now)),
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
    }
}
