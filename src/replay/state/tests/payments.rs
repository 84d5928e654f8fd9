use std::num::NonZeroU32;

use super::*;
use crate::{
    payment::{Network, PaymentHash},
    replay::UseLimits,
};

/// Counts the records of payments that a disk would hold.
#[derive(Default)]
struct RecordedPayments {
    states: i32,
    pruned: Vec<(Option<u64>, u64)>,
}

impl Changes for RecordedPayments {
    fn payment(
        &mut self,
        _: &ConsumptionKey,
        old: Option<&PaymentState>,
        new: Option<&PaymentState>,
    ) {
        self.states += i32::from(new.is_some()) - i32::from(old.is_some());
    }

    fn earlier_use(
        &mut self,
        _: &ConsumptionKey,
        _: &UseId,
        _: Option<&UseState>,
        _: Option<&UseState>,
    ) {
    }

    fn pruned_until(&mut self, old: Option<Timestamp>, new: Timestamp) {
        self.pruned
            .push((old.map(Timestamp::as_unix_seconds), new.as_unix_seconds()));
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_000_000 + seconds)
}

fn key(number: u8) -> ConsumptionKey {
    ConsumptionKey::lightning(Network::Regtest, PaymentHash::from_bytes([number; 32]))
}

fn id(number: u8) -> UseId {
    UseId::from_bytes([number; 16])
}

/// The payments of a store, their capacity, and what a disk would hold.
struct Scene {
    payments: SpentPayments,
    keys: Keys,
    recorded: RecordedPayments,
}

impl Scene {
    fn new(capacity: usize) -> Self {
        Self {
            payments: SpentPayments::default(),
            keys: Keys::new(capacity),
            recorded: RecordedPayments::default(),
        }
    }

    fn consume(
        &mut self,
        (payment, use_id): (u8, u8),
        limits: UseLimits,
        until: u64,
        now: u64,
    ) -> Result<bool, OutOfCapacity> {
        let request = UseRequest::new(key(payment), id(use_id), limits, at(until));
        let answer = self
            .payments
            .consume(&request, at(now), &self.keys, &mut self.recorded)?;
        Ok(matches!(answer, Consumption::Granted { .. }))
    }

    fn release(&mut self, (payment, use_id): (u8, u8), why: ReleaseReason, now: u64) -> bool {
        self.payments.release(
            key(payment),
            id(use_id),
            why,
            at(now),
            &self.keys,
            &mut self.recorded,
        )
    }
}

fn uses(count: u32, restores: u32) -> UseLimits {
    UseLimits::new(NonZeroU32::new(count).unwrap(), restores)
}

#[test]
fn what_has_ended_is_forgotten_in_memory_and_on_disk_and_makes_room() {
    let mut scene = Scene::new(3);
    for (payment, until) in [(1, 10), (2, 20), (3, 30)] {
        assert_eq!(
            scene.consume((payment, 1), uses(1, 0), until, 0).ok(),
            Some(true)
        );
    }
    assert!(
        scene.consume((4, 1), uses(1, 0), 99, 30).is_ok(),
        "two have ended"
    );
    assert_eq!(
        (
            scene.recorded.states,
            scene.payments.states.len(),
            scene.payments.expiries.len()
        ),
        (2, 2, 2)
    );
    assert_eq!(
        scene.recorded.pruned,
        [
            (None, at(10).as_unix_seconds()),
            (Some(at(10).as_unix_seconds()), at(20).as_unix_seconds())
        ]
    );
    assert_eq!(
        scene.consume((1, 2), uses(1, 0), 20, 30).ok(),
        Some(false),
        "it may have been spent"
    );
    assert!(scene.consume((5, 1), uses(1, 0), 99, 30).is_ok());
    assert!(
        scene.consume((6, 1), uses(1, 0), 99, 30).is_err(),
        "three are held"
    );
}

#[test]
fn what_is_kept_for_longer_than_at_first_is_forgotten_after_that() {
    let mut scene = Scene::new(1);
    assert!(scene.consume((1, 1), uses(1, 0), 10, 0).is_ok());
    assert!(scene.consume((1, 2), uses(1, 0), 50, 0).is_ok());
    assert!(scene.consume((2, 1), uses(1, 0), 99, 11).is_err());
    assert_eq!(
        scene.consume((1, 3), uses(1, 0), 50, 50).ok(),
        Some(false),
        "until its last second"
    );
    assert!(scene.consume((2, 1), uses(1, 0), 99, 51).is_ok());
}

#[test]
fn a_release_forgets_what_has_ended_too() {
    let mut scene = Scene::new(9);
    assert!(scene.consume((1, 1), uses(1, 0), 10, 0).is_ok());
    assert!(!scene.release((2, 1), ReleaseReason::NotServed, 11));
    assert!(scene.payments.states.is_empty());
}

#[test]
fn a_release_says_whether_it_gave_anything_back() {
    let mut scene = Scene::new(9);
    assert!(
        !scene.release((1, 1), ReleaseReason::NotServed, 0),
        "of a use that is not known"
    );
    assert_eq!(
        scene.consume((1, 1), uses(2, 0), 99, 0).ok(),
        Some(false),
        "and that comes later"
    );
    for use_id in [2, 3] {
        assert_eq!(
            scene.consume((1, use_id), uses(2, 0), 99, 0).ok(),
            Some(true)
        );
    }
    for use_id in [2, 3] {
        assert!(scene.release((1, use_id), ReleaseReason::NotServed, 0));
        assert!(
            !scene.release((1, use_id), ReleaseReason::NotServed, 0),
            "a second time"
        );
    }
}

#[test]
fn a_release_that_came_first_is_remembered_for_ten_minutes() {
    for (later, is_granted) in [(600, false), (601, true)] {
        let mut scene = Scene::new(9);
        assert!(!scene.release((1, 1), ReleaseReason::NotServed, 0));
        assert_eq!(
            scene.consume((1, 1), uses(1, 0), 9_999, later).ok(),
            Some(is_granted),
            "{later} s"
        );
    }
}

#[test]
fn what_was_asked_last_says_how_many_failed_uses_come_back() {
    for (restores, comes_back) in [(0, false), (1, true)] {
        let mut scene = Scene::new(9);
        assert!(scene.consume((1, 1), uses(2, 0), 99, 0).is_ok());
        assert!(scene.consume((1, 2), uses(2, restores), 99, 0).is_ok());
        assert!(scene.release((1, 2), ReleaseReason::Failed, 0));
        assert_eq!(
            scene.consume((1, 3), uses(2, restores), 99, 0).ok(),
            Some(comes_back)
        );
    }
}

#[cfg(feature = "replay-durable")]
#[test]
fn what_is_read_again_replaces_all_but_the_uses_that_no_disk_holds() {
    let mut scene = Scene::new(1);
    assert!(scene.consume((1, 1), uses(1, 0), 99, 0).is_ok());
    let state = scene.payments.states[&key(1)];
    assert!(!scene.release((2, 1), ReleaseReason::NotServed, 0));
    scene.payments.clear();
    scene.keys = Keys::new(2);
    assert!(scene.payments.states.is_empty() && scene.payments.expiries.is_empty());
    scene.payments.load_payment(key(1), state, &scene.keys);
    scene.payments.finish_load();
    assert_eq!(scene.consume((1, 2), uses(1, 0), 99, 0).ok(), Some(false));
    assert_eq!(
        scene.consume((2, 1), uses(1, 0), 99, 0).ok(),
        Some(false),
        "released before"
    );
    assert_eq!(scene.consume((2, 2), uses(1, 0), 99, 0).ok(), Some(true));
    assert!(
        scene.consume((3, 1), uses(1, 0), 99, 0).is_err(),
        "what was read takes room"
    );
}
