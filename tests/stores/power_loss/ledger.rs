//! What a store promised by what it answered, and whether it keeps that.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use futures_util::future::join_all;
use tower_x402::{
    clock::Timestamp,
    replay::{Consumption, DurableStore, RecordKey, Records, ReplayStore, UseId, UseRequest},
};

use super::{dice::Dice, work};
use crate::key;

#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    store: Option<String>,
    uses: HashMap<u64, Use>,
    payments: BTreeMap<u64, Vec<u64>>,
    records: BTreeMap<u64, Kept>,
    /// Payments and records, the one asked for last at the end.
    recent: Vec<Asked>,
    line: usize,
    /// When each request was made that has no answer yet, in this life of the process.
    asked: HashMap<String, usize>,
    /// Releases that no later answer has confirmed, and when they were made.
    loose: Vec<(usize, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Use {
    payment: u64,
    /// What was left, if it was granted. Otherwise it is unknown whether the use was taken.
    granted: Option<u32>,
    release: Option<ReleaseReason>,
    /// The store answered that this took nothing.
    is_void: bool,
}

#[derive(Clone, Copy, Debug)]
struct ReleaseReason {
    counts: bool,
    is_certain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Certainly,
    Perhaps,
    No,
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Payment(u64),
    Record(u64),
}

impl Ledger {
    /// How many uses were granted.
    pub(super) fn granted(&self) -> usize {
        self.uses
            .values()
            .filter(|one| one.granted.is_some())
            .count()
    }

    /// The process ended. Nobody will answer its open requests.
    pub(super) fn end_life(&mut self) {
        self.asked.clear();
        self.loose.clear();
    }

    pub(super) fn hear(&mut self, line: &str) {
        self.line += 1;
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        match words[0] {
            "opened" => {
                let before = self.store.replace(words[1].to_owned());
                assert!(
                    before.is_none_or(|before| before == words[1]),
                    "another store was opened"
                );
            }
            "consume" => {
                self.asked.insert(format!("use {}", number(2)), self.line);
                self.uses.insert(
                    number(2),
                    Use {
                        payment: number(1),
                        granted: None,
                        release: None,
                        is_void: false,
                    },
                );
                self.payments.entry(number(1)).or_default().push(number(2));
                self.recent.push(Asked::Payment(number(1)));
            }
            "granted" => {
                self.vouch(&format!("use {}", number(1)));
                self.uses.get_mut(&number(1)).unwrap().granted =
                    Some(number(2).try_into().unwrap());
            }
            "spent" => {
                self.vouch(&format!("use {}", number(1)));
                self.uses.get_mut(&number(1)).unwrap().is_void = true;
            }
            "refused" => self.uses.get_mut(&number(1)).unwrap().is_void = true,
            "release" => {
                let used = self.uses.get_mut(&number(1)).unwrap();
                used.release = Some(ReleaseReason {
                    counts: words[2] == "failed",
                    is_certain: false,
                });
                self.recent.push(Asked::Payment(used.payment));
                self.loose.push((self.line, number(1)));
            }
            "put" | "delete" => {
                self.asked
                    .insert(format!("record {}", number(1)), self.line);
                self.records.insert(number(1), Kept::Perhaps);
                self.recent.push(Asked::Record(number(1)));
            }
            "placed" | "deleted" => {
                self.vouch(&format!("record {}", number(1)));
                self.records.insert(
                    number(1),
                    if words[0] == "placed" {
                        Kept::Certainly
                    } else {
                        Kept::No
                    },
                );
            }
            "unsure" | "early" | "late" | "ended" => {}
            other => panic!("{other} was said"),
        }
    }

    /// An answer confirms everything that was asked before it.
    fn vouch(&mut self, question: &str) {
        let asked = self.asked.remove(question).unwrap();
        let uses = &mut self.uses;
        self.loose.retain(|(released, number)| {
            if *released < asked
                && let Some(release) = &mut uses.get_mut(number).unwrap().release
            {
                release.is_certain = true;
            }
            *released > asked
        });
    }

    /// Returns how many uses of a payment are taken, at least and at most.
    fn taken(&self, payment: u64) -> (u32, u32) {
        let uses = self.payments[&payment]
            .iter()
            .map(|number| &self.uses[number])
            .filter(|one| !one.is_void);
        let (mut granted, mut unsure, mut back, mut surely_back, mut failed, mut surely_failed) =
            (0, 0, 0, 0, 0, 0);
        for one in uses {
            match (one.granted, one.release) {
                (Some(_), None) => granted += 1,
                (Some(_), Some(release)) => {
                    granted += 1;
                    let (called, certain) = if release.counts {
                        (&mut failed, &mut surely_failed)
                    } else {
                        (&mut back, &mut surely_back)
                    };
                    *called += 1;
                    *certain += u32::from(release.is_certain);
                }
                (None, release) => {
                    unsure += u32::from(release.is_none_or(|release| !release.is_certain))
                }
            }
        }
        let restores = work::limits(payment).restores;
        (
            granted - back - failed.min(restores),
            granted + unsure - surely_back - surely_failed.min(restores),
        )
    }

    /// Opens the store in `folder` and asks it for some of what it promised.
    pub(super) fn check(&self, folder: &Path, dice: &mut Dice) -> Result<(), String> {
        let store = DurableStore::open_with(folder, work::options())
            .map_err(|error| format!("it does not open: {error}"))?;
        if let Some(id) = &self.store
            && *id != work::shown(store.id())
        {
            return Err(format!("the store {id} is gone, and there is a new one"));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let last = self.recent.len().saturating_sub(LAST);
        let sample = (0..SOME.min(last))
            .map(|_| dice.below(last))
            .chain(last..self.recent.len());
        let sample: Vec<Asked> = sample.map(|at| self.recent[at]).collect();
        let payments: BTreeMap<u64, ()> = sample
            .iter()
            .filter_map(|one| match one {
                Asked::Payment(payment) => Some((*payment, ())),
                Asked::Record(_) => None,
            })
            .collect();
        runtime.block_on(async {
            let checks = join_all(
                payments
                    .keys()
                    .map(|payment| self.check_payment(&store, *payment, dice.next())),
            )
            .await;
            checks.into_iter().collect::<Result<(), String>>()?;
            for asked in sample {
                if let Asked::Record(record) = asked {
                    self.check_record(&store, record).await?;
                }
            }
            Ok(())
        })
    }

    async fn check_payment(
        &self,
        store: &DurableStore,
        payment: u64,
        salt: u64,
    ) -> Result<(), String> {
        let limits = work::limits(payment);
        let ask = |id| store.consume(UseRequest::new(key(payment), id, limits, Timestamp::MAX));
        for number in &self.payments[&payment] {
            if let Use {
                granted: Some(remaining),
                release: None,
                ..
            } = self.uses[number]
            {
                let again = ask(work::use_id(*number))
                    .await
                    .map_err(|error| error.to_string())?;
                if again != (Consumption::Granted { remaining }) {
                    return Err(format!(
                        "use {number} of payment {payment} was granted with {remaining} left, and is now {again:?}"
                    ));
                }
            }
        }
        let fresh = (0..=u64::from(limits.uses.get())).map(|one| {
            let mut id = [0xff; 16];
            id[..8].copy_from_slice(&salt.wrapping_add(one).to_le_bytes());
            ask(UseId::from_bytes(id))
        });
        let mut granted = 0;
        for answer in join_all(fresh).await {
            granted += u32::from(answer.map_err(|error| error.to_string())? != Consumption::Spent);
        }
        let (least, most) = self.taken(payment);
        let uses = limits.uses.get();
        if granted + least > uses {
            return Err(format!(
                "payment {payment} bought {uses} uses, of which {least} were taken, and now {granted} more"
            ));
        }
        if granted + most < uses {
            return Err(format!(
                "payment {payment} bought {uses} uses, of which at most {most} were taken, but only {granted} are left"
            ));
        }
        Ok(())
    }

    async fn check_record(&self, store: &DurableStore, record: u64) -> Result<(), String> {
        let key = RecordKey::new(&record.to_le_bytes()).unwrap();
        let found = store.get(key).await.map_err(|error| error.to_string())?;
        let is_right = match self.records[&record] {
            Kept::Certainly => found == Some(work::value(record)),
            Kept::Perhaps => found.is_none_or(|found| found == work::value(record)),
            Kept::No => found.is_none(),
        };
        if is_right {
            Ok(())
        } else {
            Err(format!("record {record} differs from what was answered"))
        }
    }
}

/// How much is checked of what was asked last, and of what was asked before.
const LAST: usize = 40;
const SOME: usize = 20;
