use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;

use super::{
    encoding::{Stored, note_created_at},
    options::DurableOptions,
};
use crate::{
    clock::Timestamp,
    journal::{Batch, LogError, LogErrorKind, Machine},
    replay::{
        Consumption, ConsumptionKey, RecordKey, Release, StoreError, StoreErrorKind, UseId,
        birth::birth,
        state::{
            capacity::{Keys, NoRoom, Room},
            payments::{Ask, Book},
            records::{Record, Shelf},
        },
    },
};

/// The book and the shelf of the durable store, as its writer thread asks them.
pub(super) struct Desk {
    book: Book,
    shelf: Shelf,
    keys: Keys,
    record_bytes: Room,
    options: DurableOptions,
    /// Since when the store exists, once all is taken in.
    created_at: Arc<OnceLock<Timestamp>>,
    /// Whether the book holds at least what the disk does: not after a reading of it that failed
    /// half way.
    is_whole: bool,
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer thread is asked.
pub(super) enum Question {
    Consume(Ask, Reply<Consumption>),
    Delete(RecordKey, Reply<()>),
    Get(RecordKey, Reply<Option<Vec<u8>>>),
    Put(RecordKey, Record, Reply<bool>),
    Release(ConsumptionKey, UseId, Release),
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

impl Desk {
    pub(super) fn new(options: DurableOptions) -> Self {
        let (keys, record_bytes) = (
            Keys::new(options.capacity),
            Room::new(options.record_capacity),
        );
        let (book, shelf, created_at) = (Book::default(), Shelf::default(), Arc::default());
        Self {
            book,
            shelf,
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

impl Machine for Desk {
    type Ask = Question;
    type Answer = Answer;

    fn clear(&mut self) {
        self.is_whole = false;
        self.book.clear();
        self.shelf = Shelf::default();
        self.keys = Keys::new(self.options.capacity);
        self.record_bytes = Room::new(self.options.record_capacity);
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), LogError> {
        match Stored::read(key, value) {
            Some(Stored::CreatedAt(at)) => {
                let _ = self.created_at.set(at);
            }
            Some(Stored::EarlierUse(key, id, known)) => {
                self.book.load_earlier_use(key, id, known, &self.keys)
            }
            Some(Stored::PrunedUntil(pruned)) => {
                self.keys.prune(pruned);
            }
            Some(Stored::Record(key, record)) => self.shelf.load(key, record, &self.record_bytes),
            Some(Stored::Entry(key, entry)) => self.book.load_entry(key, entry, &self.keys),
            None => {
                return Err(LogError::corrupt(
                    "a record that this version can read was expected",
                ));
            }
        }
        Ok(())
    }

    fn loaded(&mut self) {
        self.book.finish_load();
        self.is_whole = true;
    }

    /// A folder that does not say since when it exists may have forgotten anything before now. If
    /// the clock is not set, it does not say so yet.
    fn begin(&mut self, batch: &mut Batch) {
        if self.created_at.get().is_none()
            && let Some(now) = birth(self.options.clock.now())
        {
            let _ = self.created_at.set(now);
            note_created_at(now, batch);
        }
    }

    fn apply(&mut self, question: Question, batch: &mut Batch) -> Answer {
        let now = self.options.clock.now();
        match question {
            Question::Consume(ask, reply) => {
                let answer = self
                    .book
                    .consume(&ask, now, &self.keys, batch)
                    .map_err(|NoRoom| full("key", "capacity"));
                Answer::Consume(Pending { reply, answer })
            }
            Question::Delete(key, reply) => {
                self.shelf.delete(&key, now, &self.record_bytes, batch);
                Answer::Delete(Pending {
                    reply,
                    answer: Ok(()),
                })
            }
            Question::Get(key, reply) => Answer::Get(Pending {
                reply,
                answer: Ok(self.shelf.get(&key, now)),
            }),
            Question::Put(key, record, reply) => {
                let answer = self
                    .shelf
                    .put_if_absent(&key, record, now, &self.record_bytes, batch)
                    .map_err(|NoRoom| full("record", "record_capacity"));
                Answer::Put(Pending { reply, answer })
            }
            Question::Release(key, id, why) => {
                let known = self.book.release(key, id, why, now, &self.keys, batch);
                Answer::Release(known.then_some(Question::Release(key, id, why)))
            }
            Question::Scan(prefix, reply) => Answer::Scan(Pending {
                reply,
                answer: Ok(self.shelf.scan(&prefix, now)),
            }),
        }
    }

    fn tell(answer: Answer, written: Result<(), &LogError>) -> Option<Question> {
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

    fn refuse(&mut self, question: Question, failure: &LogError) -> Option<Question> {
        match question {
            Question::Consume(_, reply) => refuse(reply, failure),
            Question::Delete(_, reply) => refuse(reply, failure),
            Question::Get(_, reply) => refuse(reply, failure),
            Question::Put(_, _, reply) => refuse(reply, failure),
            Question::Scan(_, reply) => refuse(reply, failure),
            // what the book does not know may be on the disk
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
    fn tell(self, written: Result<(), &LogError>) {
        let _ = self.reply.send(written.map_err(told).and(self.answer));
    }
}

fn refuse<T>(reply: Reply<T>, failure: &LogError) {
    let _ = reply.send(Err(told(&failure.refusal())));
}

pub(in crate::replay) fn told(error: &LogError) -> StoreError {
    StoreError::new(kind(error), NAME, error.clone())
}

pub(super) const fn kind(error: &LogError) -> StoreErrorKind {
    match error.kind() {
        LogErrorKind::Corrupt => StoreErrorKind::Corrupt,
        LogErrorKind::Refused => StoreErrorKind::Refused,
        LogErrorKind::Unavailable => StoreErrorKind::Unavailable,
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
