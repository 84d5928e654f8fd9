use std::{collections::HashMap, time::Instant};

use super::subject::{PATIENCE, Setup, Subject, a_key, a_use, restorable};
use crate::replay::{Consumption, ConsumptionKey, ReleaseReason, ReplayStore, UseId, UseLimits};

/// Runs long random sequences on a few keys, and compares each answer with that of a simple model.
pub(super) async fn suite<S: ReplayStore>(open: &impl AsyncFn(Setup) -> S) {
    let subject = Subject::new(open).await;
    for _ in 0..SEQUENCES {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).expect("randomness");
        sequence(&subject, u64::from_le_bytes(seed)).await;
    }
}

async fn sequence<S: ReplayStore>(subject: &Subject<S>, seed: u64) {
    let mut dice = Dice(seed);
    let limits = restorable(1 + dice.roll(4), dice.roll(3));
    let mut models: Vec<_> = (0..2).map(|_| (a_key(), Model::default())).collect();
    let ids: Vec<UseId> = (0..8).map(|_| a_use()).collect();
    for step in 0..STEPS {
        let (key, model) = &mut models[dice.roll(2) as usize];
        let id = ids[dice.roll(8) as usize];
        match dice.roll(5) {
            0 => {
                model.release(id, ReleaseReason::NotServed, limits);
                subject.release(*key, id, ReleaseReason::NotServed);
            }
            1 => {
                model.release(id, ReleaseReason::Failed, limits);
                subject.release(*key, id, ReleaseReason::Failed);
            }
            _ => {
                let expected = model.consume(id, limits);
                let got = consume(subject, *key, id, limits, expected).await;
                assert_eq!(
                    got, expected,
                    "step {step} of the sequence with seed {seed}, {limits:?}"
                );
            }
        }
    }
}

/// Asks until the answer is the expected one. The store carries a release out in its own time, so
/// it may refuse a released use for a while.
async fn consume<S: ReplayStore>(
    subject: &Subject<S>,
    key: ConsumptionKey,
    id: UseId,
    limits: UseLimits,
    expected: Consumption,
) -> Consumption {
    let given_up = Instant::now() + PATIENCE;
    loop {
        let got = subject.consume(key, id, limits).await;
        if got == expected || got != Consumption::Spent || Instant::now() > given_up {
            return got;
        }
        tokio::task::yield_now().await;
    }
}

#[derive(Default)]
struct Model {
    taken: u32,
    restored: u32,
    known: HashMap<[u8; 16], ModelUse>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ModelUse {
    Granted(u32),
    Released,
}

impl Model {
    fn consume(&mut self, id: UseId, limits: UseLimits) -> Consumption {
        match self.known.get(id.as_bytes()) {
            Some(ModelUse::Granted(remaining)) => Consumption::Granted {
                remaining: *remaining,
            },
            Some(ModelUse::Released) => Consumption::Spent,
            None if self.taken == limits.uses.get() => Consumption::Spent,
            None => {
                self.taken += 1;
                let remaining = limits.uses.get() - self.taken;
                self.known
                    .insert(*id.as_bytes(), ModelUse::Granted(remaining));
                Consumption::Granted { remaining }
            }
        }
    }

    fn release(&mut self, id: UseId, why: ReleaseReason, limits: UseLimits) {
        let before = self.known.insert(*id.as_bytes(), ModelUse::Released);
        if !matches!(before, Some(ModelUse::Granted(_))) {
            return;
        }
        match why {
            ReleaseReason::NotServed => self.taken -= 1,
            ReleaseReason::Failed if self.restored < limits.restores => {
                self.taken -= 1;
                self.restored += 1;
            }
            ReleaseReason::Failed => {}
        }
    }
}

/// Random numbers that a seed repeats (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % u64::from(sides)) as u32
    }
}

const SEQUENCES: usize = 40;
const STEPS: usize = 60;
