//! What the child does: it reports each request before it makes it, and each answer once it has it.

use std::{
    num::NonZeroU32,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tower_x402::{
    clock::{TestClock, Timestamp},
    replay::{
        Consumption, DurableOptions, DurableStore, RecordKey, Records, ReleaseReason, ReplayStore,
        StoreErrorKind, StoreId, UseId, UseLimits, UseRequest,
    },
};

use super::dice::Dice;
use crate::{child::say, key};

/// Numbers of uses and records that one life of the child has for itself.
pub(super) const NUMBERS: u64 = 10_000;

#[derive(Clone, Copy)]
enum Step {
    Consume(u64, u64),
    Delete(u64),
    Put(u64),
    Release(u64, u64, ReleaseReason),
}

/// Works on the store in `folder` for so many steps, and for `lasting` from then on.
pub(super) fn work(folder: &Path, life: u64, steps: usize, lasting: Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = DurableStore::open_with(folder, options()).unwrap();
        say(format_args!("opened {}", shown(store.id())));
        let mut worker = Worker {
            store,
            dice: Dice::new(life),
            next: life * NUMBERS,
            granted: Vec::new(),
            placed: Vec::new(),
        };
        for _ in 0..steps {
            worker.step().await;
        }
        say("early");
        let early = Instant::now();
        while early.elapsed() < lasting {
            worker.step().await;
        }
        // Once the second is answered, all work that the first left to do is done.
        for _ in 0..2 {
            worker.next += 1;
            act(&worker.store, Step::Put(worker.next)).await;
        }
        say("late");
        drop(worker);
        say("ended");
    });
}

struct Worker {
    store: DurableStore,
    dice: Dice,
    next: u64,
    /// Uses that may be given back, with their payments.
    granted: Vec<(u64, u64)>,
    /// Records that may be deleted.
    placed: Vec<u64>,
}

impl Worker {
    /// Asks a few things at once.
    async fn step(&mut self) {
        let many = if self.dice.one_in(3) {
            1
        } else {
            1 + self.dice.below(8)
        };
        let steps: Vec<Step> = (0..many).map(|_| self.draw()).collect();
        let done = join_all(steps.iter().map(|step| act(&self.store, *step))).await;
        let mut is_down = false;
        for (step, done) in steps.into_iter().zip(done) {
            match (step, done) {
                (Step::Consume(payment, number), Done::Granted) => {
                    self.granted.push((payment, number))
                }
                (Step::Consume(payment, number), Done::Unsure) => {
                    act(
                        &self.store,
                        Step::Release(payment, number, ReleaseReason::NotServed),
                    )
                    .await;
                    is_down = true;
                }
                (Step::Put(record), Done::Well) => self.placed.push(record),
                (_, Done::Unsure | Done::Refused) => is_down = true,
                _ => {}
            }
        }
        if is_down && self.dice.one_in(3) {
            while self.store.get(record_key(0)).await.is_err() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    fn draw(&mut self) -> Step {
        self.next += 1;
        match self.dice.below(10) {
            0..=3 => Step::Consume(self.next, self.next),
            4..=5 => Step::Consume(1 + self.dice.next() % self.next, self.next),
            6..=7 if !self.granted.is_empty() => {
                let (payment, number) = self
                    .granted
                    .swap_remove(self.dice.below(self.granted.len()));
                let why = if self.dice.one_in(3) {
                    ReleaseReason::Failed
                } else {
                    ReleaseReason::NotServed
                };
                Step::Release(payment, number, why)
            }
            8 if !self.placed.is_empty() => {
                Step::Delete(self.placed.swap_remove(self.dice.below(self.placed.len())))
            }
            _ => Step::Put(self.next),
        }
    }
}

enum Done {
    Granted,
    Refused,
    Unsure,
    Well,
}

async fn act(store: &DurableStore, step: Step) -> Done {
    match step {
        Step::Consume(payment, number) => {
            say(format_args!("consume {payment} {number}"));
            match store
                .consume(UseRequest::new(
                    key(payment),
                    use_id(number),
                    limits(payment),
                    Timestamp::MAX,
                ))
                .await
            {
                Ok(Consumption::Granted { remaining }) => {
                    say(format_args!("granted {number} {remaining}"));
                    Done::Granted
                }
                Ok(_) => {
                    say(format_args!("spent {number}"));
                    Done::Well
                }
                Err(error) if error.kind() == StoreErrorKind::Refused => {
                    say(format_args!("refused {number}"));
                    Done::Refused
                }
                Err(_) => {
                    say(format_args!("unsure {number}"));
                    Done::Unsure
                }
            }
        }
        Step::Delete(record) => {
            say(format_args!("delete {record}"));
            match store.delete(record_key(record)).await {
                Ok(()) => {
                    say(format_args!("deleted {record}"));
                    Done::Well
                }
                Err(_) => Done::Unsure,
            }
        }
        Step::Put(record) => {
            say(format_args!("put {record}"));
            match store
                .put_if_absent(record_key(record), value(record), Timestamp::MAX)
                .await
            {
                Ok(_) => {
                    say(format_args!("placed {record}"));
                    Done::Well
                }
                Err(_) => Done::Unsure,
            }
        }
        Step::Release(payment, number, why) => {
            say(format_args!(
                "release {number} {}",
                if why == ReleaseReason::Failed {
                    "failed"
                } else {
                    "unserved"
                }
            ));
            store.release(key(payment), use_id(number), why);
            Done::Well
        }
    }
}

/// What payments buy: each its own.
pub(super) fn limits(payment: u64) -> UseLimits {
    let uses = NonZeroU32::new(1 + (payment % 4) as u32).unwrap();
    UseLimits::new(uses, (payment % 3) as u32)
}

pub(super) fn use_id(number: u64) -> UseId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    UseId::from_bytes(bytes)
}

pub(super) fn record_key(record: u64) -> RecordKey {
    RecordKey::new(&record.to_le_bytes()).unwrap()
}

/// Most are small; some fill several pages.
pub(super) fn value(record: u64) -> Vec<u8> {
    let length = if record.is_multiple_of(3) {
        record * 7_919 % 20_000
    } else {
        record % 100
    };
    vec![b'a' + (record % 26) as u8; length as usize]
}

/// Returns options with a clock that stands still, so that nothing is forgotten for its age.
pub(super) fn options() -> DurableOptions {
    DurableOptions::new().clock(TestClock::at(Timestamp::from_unix_seconds(1_800_000_000)))
}

pub(super) fn shown(id: StoreId) -> String {
    id.as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
