use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;

use super::{
    encoding::{Encoded, note_created_at},
    options::DurableOptions,
};
use crate::{
    clock::Timestamp,
    journal::{Batch, JournalError, JournalErrorKind, Machine},
    replay::{
        Consumption, ConsumptionKey, RecordKey, ReleaseReason, StoreError, StoreErrorKind, UseId,
        UseRequest,
        created_at::created_at,
        state::{
            capacity::{Capacity, Full, Keys},
            payments::Payments,
            records::{Record, RecordTable},
        },
    },
};

/// The payments and the table of the durable store, as its writer thread asks them.
pub(super) struct StoreMachine {
    payments: Payments,
    records: RecordTable,
    keys: Keys,
    record_bytes: Capacity,
    options: DurableOptions,
    /// Since when the store exists, once all is taken in.
    created_at: Arc<OnceLock<Timestamp>>,
    /// Whether the payments holds at least what the disk does: not after a reading of it that failed
    /// half way.
    is_whole: bool,
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer thread is asked.
pub(super) enum Question {
    Consume(UseRequest, Reply<Consumption>),
    Delete(RecordKey, Reply<()>),
    Get(RecordKey, Reply<Option<Vec<u8>>>),
    Put(RecordKey, Record, Reply<bool>),
    Release(ConsumptionKey, UseId, ReleaseReason),
    Scan(RecordKey, Reply<Vec<(RecordKey, Vec<u8>)>>),
}

/// What it decided, to be told once that is written.
pub(super) enum Answer {
    Consume(Pending<Consumption>),
    Delete(Pending<()>),
    Get(Pending<Option<Vec<u8>>>),
    Put(Pending<bool>),
    /// What to ask again where it was not written.
    Release(Option<Question>),
    Scan(Pending<Vec<(RecordKey, Vec<u8>)>>),
}

pub(super) struct Pending<T> {
    reply: Reply<T>,
    pub(super) answer: Result<T, StoreError>,
}

impl StoreMachine {
    pub(super) fn new(options: DurableOptions) -> Self {
        let (keys, record_bytes) = (
            Keys::new(options.capacity),
            Capacity::new(options.record_capacity),
        );
        let (payments, records, created_at) =
            (Payments::default(), RecordTable::default(), Arc::default());
        Self {
            payments,
            records,
            keys,
            record_bytes,
            options,
            created_at,
            is_whole: false,
        }
    }

    /// Filled, once all is taken in, with since when the store exists.
    pub(super) fn created_at(&self) -> Arc<OnceLock<Timestamp>> {
        self.created_at.clone()
    }
}

impl Machine for StoreMachine {
    type Ask = Question;
    type Answer = Answer;

    fn clear(&mut self) {
        self.is_whole = false;
        self.payments.clear();
        self.records = RecordTable::default();
        self.keys = Keys::new(self.options.capacity);
        self.record_bytes = Capacity::new(self.options.record_capacity);
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), JournalError> {
        match Encoded::read(key, value) {
            Some(Encoded::CreatedAt(at)) => {
                let _ = self.created_at.set(at);
            }
            Some(Encoded::EarlierUse(key, id, known)) => {
                self.payments.load_earlier_use(key, id, known, &self.keys)
            }
            Some(Encoded::PrunedUntil(pruned)) => {
                self.keys.prune(pruned);
            }
            Some(Encoded::Record(key, record)) => {
                self.records.load(key, record, &self.record_bytes)
            }
            Some(Encoded::Entry(key, entry)) => self.payments.load_entry(key, entry, &self.keys),
            None => {
                return Err(JournalError::corrupt(
                    "a record that this version can read was expected",
                ));
            }
        }
        Ok(())
    }

    fn loaded(&mut self) {
        self.payments.finish_load();
        self.is_whole = true;
    }

    /// A folder that does not say since when it exists may have forgotten anything before now. If
    /// the clock is not set, it does not say so yet.
    fn begin(&mut self, batch: &mut Batch) {
        if self.created_at.get().is_none()
            && let Some(now) = created_at(self.options.clock.now())
        {
            let _ = self.created_at.set(now);
            note_created_at(now, batch);
        }
    }

    fn apply(&mut self, question: Question, batch: &mut Batch) -> Answer {
        let now = self.options.clock.now();
        match question {
            Question::Consume(request, reply) => {
                let answer = self
                    .payments
                    .consume(&request, now, &self.keys, batch)
                    .map_err(|Full| full("key", "capacity"));
                Answer::Consume(Pending { reply, answer })
            }
            Question::Delete(key, reply) => {
                self.records.delete(&key, now, &self.record_bytes, batch);
                Answer::Delete(Pending {
                    reply,
                    answer: Ok(()),
                })
            }
            Question::Get(key, reply) => Answer::Get(Pending {
                reply,
                answer: Ok(self.records.get(&key, now)),
            }),
            Question::Put(key, record, reply) => {
                let answer = self
                    .records
                    .put_if_absent(&key, record, now, &self.record_bytes, batch)
                    .map_err(|Full| full("record", "record_capacity"));
                Answer::Put(Pending { reply, answer })
            }
            Question::Release(key, id, why) => {
                let known = self.payments.release(key, id, why, now, &self.keys, batch);
                Answer::Release(known.then_some(Question::Release(key, id, why)))
            }
            Question::Scan(prefix, reply) => Answer::Scan(Pending {
                reply,
                answer: Ok(self.records.scan(&prefix, now)),
            }),
        }
    }

    fn tell(answer: Answer, written: Result<(), &JournalError>) -> Option<Question> {
        match answer {
            Answer::Consume(pending) => pending.tell(written),
            Answer::Delete(pending) => pending.tell(written),
            Answer::Get(pending) => pending.tell(written),
            Answer::Put(pending) => pending.tell(written),
            Answer::Scan(pending) => pending.tell(written),
            Answer::Release(again) => return again.filter(|_| written.is_err()),
        }
        None
    }

    fn refuse(&mut self, question: Question, failure: &JournalError) -> Option<Question> {
        match question {
            Question::Consume(_, reply) => refuse(reply, failure),
            Question::Delete(_, reply) => refuse(reply, failure),
            Question::Get(_, reply) => refuse(reply, failure),
            Question::Put(_, _, reply) => refuse(reply, failure),
            Question::Scan(_, reply) => refuse(reply, failure),
            // what the payments does not know may be on the disk
            Question::Release(..) if !self.is_whole => return Some(question),
            Question::Release(..) => {
                // most are of uses that were refused a moment ago: those need no disk
                if let Answer::Release(again) = self.apply(question, &mut Batch::default()) {
                    return again;
                }
            }
        }
        None
    }
}

impl<T> Pending<T> {
    /// Whoever asked may be gone.
    fn tell(self, written: Result<(), &JournalError>) {
        let _ = self.reply.send(written.map_err(told).and(self.answer));
    }
}

fn refuse<T>(reply: Reply<T>, failure: &JournalError) {
    let _ = reply.send(Err(told(&failure.refusal())));
}

pub(in crate::replay) fn told(error: &JournalError) -> StoreError {
    StoreError::new(kind(error), NAME, error.clone())
}

pub(super) const fn kind(error: &JournalError) -> StoreErrorKind {
    match error.kind() {
        JournalErrorKind::Corrupt => StoreErrorKind::Corrupt,
        JournalErrorKind::Refused => StoreErrorKind::Refused,
        JournalErrorKind::Unavailable => StoreErrorKind::Unavailable,
    }
}

fn full(what: &str, option: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Full,
        NAME,
        format!("no room for another {what}; `DurableOptions::{option}` allows more"),
    )
}

pub(super) const NAME: &str = "the durable store";
