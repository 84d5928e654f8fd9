use tokio::sync::oneshot;

use super::{
    Consumption, ConsumptionKey, DurableOptions, RecordKey, Release, StoreError, StoreErrorKind, UseId,
    book::{Ask, Book},
    room::{Keys, NoRoom, Room},
    shelf::{Record, Shelf},
    stored::Stored,
};
use crate::log::{Batch, LogError, LogErrorKind, Machine};

/// The book and the shelf of the durable store, as its writer thread asks them.
pub(super) struct Desk {
    book: Book,
    shelf: Shelf,
    keys: Keys,
    record_bytes: Room,
    options: DurableOptions,
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
    answer: Result<T, StoreError>,
}

impl Desk {
    pub(super) fn new(options: DurableOptions) -> Self {
        let (keys, record_bytes) = (Keys::new(options.capacity), Room::new(options.record_capacity));
        Self { book: Book::default(), shelf: Shelf::default(), keys, record_bytes, options }
    }
}

impl Machine for Desk {
    type Ask = Question;
    type Answer = Answer;

    fn clear(&mut self) {
        self.book.clear();
        self.shelf = Shelf::default();
        self.keys = Keys::new(self.options.capacity);
        self.record_bytes = Room::new(self.options.record_capacity);
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), LogError> {
        match Stored::read(key, value) {
            Some(Stored::EarlierUse(key, id, known)) => self.book.load_earlier_use(key, id, known, &self.keys),
            Some(Stored::PrunedUntil(pruned)) => {
                self.keys.prune(pruned);
            }
            Some(Stored::Record(key, record)) => self.shelf.load(key, record, &self.record_bytes),
            Some(Stored::Entry(key, entry)) => self.book.load_entry(key, entry, &self.keys),
            None => return Err(LogError::corrupt("a record that this version can read was expected")),
        }
        Ok(())
    }

    fn loaded(&mut self) {
        self.book.finish_load();
    }

    fn apply(&mut self, question: Question, batch: &mut Batch) -> Answer {
        let now = self.options.clock.now();
        match question {
            Question::Consume(ask, reply) => {
                let answer = self.book.consume(&ask, now, &self.keys, batch).map_err(|NoRoom| full("key", "capacity"));
                Answer::Consume(Pending { reply, answer })
            }
            Question::Delete(key, reply) => {
                self.shelf.delete(&key, now, &self.record_bytes, batch);
                Answer::Delete(Pending { reply, answer: Ok(()) })
            }
            Question::Get(key, reply) => Answer::Get(Pending { reply, answer: Ok(self.shelf.get(&key, now)) }),
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
            Question::Scan(prefix, reply) => Answer::Scan(Pending { reply, answer: Ok(self.shelf.scan(&prefix, now)) }),
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

pub(super) fn told(error: &LogError) -> StoreError {
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
    StoreError::new(StoreErrorKind::Full, NAME, format!("no room for another {what}; `DurableOptions::{option}` allows more"))
}

pub(super) const NAME: &str = "the durable store";

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::{
        clock::Timestamp,
        payment::{Network, PaymentHash},
        replay::Limits,
    };

    #[test]
    fn a_release_in_a_group_that_was_not_written_is_asked_again_and_any_other_is_not() {
        let mut desk = Desk::new(DurableOptions::new());
        let key = ConsumptionKey::new(Network::Regtest, PaymentHash::from_bytes([7; 32]));
        let use_id = UseId::from_bytes([1; 16]);
        let consume = |desk: &mut Desk| {
            let limits = Limits::new(NonZeroU32::MIN, 0);
            let ask = Ask { key, use_id, limits, retain_until: Timestamp::MAX };
            desk.apply(Question::Consume(ask, oneshot::channel().0), &mut Batch::default())
        };
        let release = |desk: &mut Desk, written: Result<(), &LogError>| {
            let answer = desk.apply(Question::Release(key, use_id, Release::NotServed), &mut Batch::default());
            Desk::tell(answer, written)
        };
        let failure = LogError::unavailable("the disk is full");

        consume(&mut desk);
        let again = release(&mut desk, Err(&failure));
        assert!(matches!(again, Some(Question::Release(found, id, Release::NotServed)) if (found, id) == (key, use_id)));
        // the disk has the use, and not its release
        desk.clear();
        desk.book = Book::default();
        consume(&mut desk);
        let written = desk.apply(again.unwrap(), &mut Batch::default());
        assert!(Desk::tell(written, Ok(())).is_none());
        assert!(release(&mut desk, Err(&failure)).is_none(), "it was released before");
    }
}
