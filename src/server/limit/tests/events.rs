//! Any order of events: no limit is exceeded, and no slot is lost.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::server::address::Block;

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
    prop::sample::select(vec![
        BadAnswer,
        HungUp,
        Refused,
        TimedOut,
        Unreachable,
        WrongInvoice,
    ])
}

/// One of a few clients: unknown, of IPv4, or networks of 64 bits in two networks of 56 bits of one
/// of 48.
fn someone(n: u8) -> ClientKey {
    if n < 5 {
        client(n)
    } else {
        network(0x2001_0db8_0001_0000 | (u64::from(n % 2) << 8) | u64::from(n))
    }
}

fn check(state: &LimiterState, limits: &UnpaidLimits) {
    let mut by_client: HashMap<ClientKey, usize> = HashMap::new();
    for (id, held) in &state.slots {
        *by_client.entry(held.client).or_default() += 1;
        assert!(held.end.is_none_or(|end| state.ends.contains(&(end, *id))));
        assert!(
            held.end
                .is_none_or(|end| state.ends_by_client.contains(&(held.client, end, *id)))
        );
    }
    assert!(state.slots.len() <= limits.total && state.clients.len() <= limits.clients);
    let mut bursts = 0;
    for (client, count) in by_client
        .iter()
        .filter(|(client, _)| **client != ClientKey::Unknown)
    {
        assert!(*count <= 4 * limits.per_client);
        bursts += count.saturating_sub(limits.per_client);
        assert_eq!(
            state.clients.get(client).map(|known| known.held),
            Some(*count)
        );
    }
    assert!(bursts <= limits.total / 2);
    assert!(
        state
            .clients
            .iter()
            .all(|(client, known)| known.held == by_client.get(client).copied().unwrap_or(0))
    );
    assert!(
        state
            .clients
            .values()
            .all(|known| known.held > 0 || known.paid.is_some())
    );
    assert!(state.clients.iter().all(|(client, known)| {
        known
            .paid
            .is_none_or(|paid| state.payers.contains(&(paid, *client)))
    }));
    let mut by_block: HashMap<Block, usize> = HashMap::new();
    for (id, held) in &state.slots {
        for block in held.asker.blocks() {
            *by_block.entry(block).or_default() += 1;
            assert!(
                held.end
                    .is_none_or(|end| state.ends_by_block.contains(&(block, end, *id)))
            );
        }
    }
    assert!(
        by_block
            .iter()
            .all(|(block, held)| *held <= limits.of_block(*block))
    );
    assert_eq!(state.by_block, by_block);
    let of_blocks = state
        .slots
        .values()
        .filter(|held| held.end.is_some())
        .flat_map(|held| held.asker.blocks())
        .count();
    assert_eq!(state.ends_by_block.len(), of_blocks);
    assert!(
        state
            .silence
            .dropped
            .keys()
            .all(|id| state.slots.get(id).is_some_and(|held| held.hash.is_none()))
    );
    let bound = state
        .slots
        .values()
        .filter(|held| held.end.is_some())
        .count();
    assert_eq!(
        (state.ends.len(), state.ends_by_client.len()),
        (bound, bound)
    );
    assert!(state.payers.len() <= state.clients.len());
    assert!(state.by_hash.iter().all(|(hash, id)| {
        state
            .slots
            .get(id)
            .is_some_and(|held| held.hash == Some(*hash))
    }));
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
                    slots.get_mut(i).into_iter().for_each(|slot| slot.node_called(at(now), life(seconds), LIMIT));
                }
                Step::Issued(i, n, life) if i < slots.len() => slots.remove(i).issued(hash(n), at(now + life)),
                Step::NotIssued(i, why) if i < slots.len() => slots.remove(i).not_issued(why),
                Step::Dropped(i) if i < slots.len() => drop(slots.remove(i)),
                Step::Issued(..) | Step::NotIssued(..) | Step::Dropped(_) => {}
                Step::Paid(n, presenter) => drop(limiter.paid(hash(n), someone(presenter), at(now))),
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
