use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;

use super::{
    Consumption, ConsumptionKey, DurableOptions, RecordKey, Release, StoreError, StoreErrorKind, UseId,
    birth::birth,
    book::{Ask, Book},
    room::{Keys, NoRoom, Room},
    shelf::{Record, Shelf},
    stored::{Stored, note_created_at},
};
use crate::{
    clock::Timestamp,
    log::{Batch, LogError, LogErrorKind, Machine},
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
    /// Whether the book holds at least what the disk does: not after a reading of it that failed half way.
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
    answer: Result<T, StoreError>,
}

impl Desk {
    pub(super) fn new(options: DurableOptions) -> Self {
        let (keys, record_bytes) = (Keys::new(options.capacity), Room::new(options.record_capacity));
        let (book, shelf, created_at) = (Book::default(), Shelf::default(), Arc::default());
        Self { book, shelf, keys, record_bytes, options, created_at, is_whole: false }
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
        self.is_whole = true;
    }

    /// A folder that does not say since when it exists may have forgotten anything before now. If the clock is not set, it does not
    /// say so yet.
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
    use std::{
        num::NonZeroU32,
        sync::{
            atomic::{AtomicBool, Ordering},
            mpsc::{Sender, channel},
        },
    };

    use super::*;
    use crate::{
        clock::TestClock,
        log::Log,
        payment::{Network, PaymentHash},
        replay::{DurableStore, Limits, ReplayStore as _},
    };

    #[test]
    fn a_release_that_comes_after_a_reload_failed_half_way_is_carried_out() {
        let (folder, (events, heard)) = (tempfile::tempdir().unwrap(), channel());
        let (write_fails, load_fails) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (desk, begins) = (Desk::new(DurableOptions::new()), true);
        let faulty = Faulty { desk, begins, write_fails: write_fails.clone(), load_fails: load_fails.clone(), events };
        let log = Log::open(folder.path(), [7; 16], faulty).unwrap();
        let until = |event| while heard.recv().unwrap() != event {};
        let (key, id) = (a_key(1), UseId::from_bytes([1; 16]));
        let answer = consume(&log, key, id);
        assert_eq!(answer.blocking_recv().unwrap().unwrap(), Consumption::Granted { remaining: 0 });

        load_fails.store(true, Ordering::SeqCst);
        write_fails.store(true, Ordering::SeqCst);
        assert!(consume(&log, a_key(2), UseId::from_bytes([2; 16])).blocking_recv().unwrap().is_err());
        until(Event::LoadFailed);
        log.ask_urgently(Question::Release(key, id, Release::NotServed)).unwrap();
        until(Event::Refused);
        load_fails.store(false, Ordering::SeqCst);
        until(Event::Loaded);
        let answer = consume(&log, key, UseId::from_bytes([3; 16])).blocking_recv().unwrap().unwrap();
        assert_eq!(answer, Consumption::Granted { remaining: 0 }, "the use that was given back");
        let answer = consume(&log, key, id).blocking_recv().unwrap().unwrap();
        assert_eq!(answer, Consumption::Spent, "the use that is over");
    }

    #[test]
    fn a_release_in_a_group_that_was_not_written_is_carried_out_later() {
        let (folder, (events, heard)) = (tempfile::tempdir().unwrap(), channel());
        let write_fails = Arc::<AtomicBool>::default();
        let (desk, begins) = (Desk::new(DurableOptions::new()), true);
        let faulty = Faulty { desk, begins, write_fails: write_fails.clone(), load_fails: Arc::default(), events };
        let log = Log::open(folder.path(), [7; 16], faulty).unwrap();
        let (key, id) = (a_key(1), UseId::from_bytes([1; 16]));
        assert_eq!(heard.recv().unwrap(), Event::Loaded);
        let answer = consume(&log, key, id).blocking_recv().unwrap().unwrap();
        assert_eq!(answer, Consumption::Granted { remaining: 0 });

        write_fails.store(true, Ordering::SeqCst);
        log.ask_urgently(Question::Release(key, id, Release::NotServed)).unwrap();
        assert_eq!(heard.recv().unwrap(), Event::Loaded, "the disk is read again");
        let answer = consume(&log, key, UseId::from_bytes([2; 16])).blocking_recv().unwrap().unwrap();
        assert_eq!(answer, Consumption::Granted { remaining: 0 }, "the use that was given back");
    }

    #[test]
    fn a_folder_that_does_not_say_since_when_it_exists_exists_since_it_was_opened() {
        let (folder, (events, _heard)) = (tempfile::tempdir().unwrap(), channel());
        let at = |seconds: u64| Timestamp::from_unix_seconds(1_700_000_000 + seconds);
        let clock = TestClock::at(at(1_000));
        let open = || DurableStore::open_with(folder.path(), DurableOptions::new().clock(clock.clone())).unwrap();
        let desk = Desk::new(DurableOptions::new());
        let silent = Faulty { desk, begins: false, write_fails: Arc::default(), load_fails: Arc::default(), events };
        let log = Log::open(folder.path(), [7; 16], silent).unwrap();
        let answer = consume(&log, a_key(1), UseId::from_bytes([1; 16])).blocking_recv().unwrap().unwrap();
        assert_eq!(answer, Consumption::Granted { remaining: 0 });
        drop(log);
        for now in [2_000, 3_000, 500] {
            clock.set(at(now));
            assert_eq!(open().created_at(), at(2_000), "opened at {now}");
        }
    }

    #[test]
    fn what_was_not_written_is_forgotten_and_takes_no_room() {
        let one = std::num::NonZeroUsize::MIN;
        let mut desk = Desk::new(DurableOptions::new().capacity(one).record_capacity(2 + 3 + 128));
        for (payment, name) in [(1, 1), (1, 1), (2, 2)] {
            desk.loaded();
            let ask = once(a_key(payment), UseId::random().unwrap());
            let answer = desk.apply(Question::Consume(ask, oneshot::channel().0), &mut Batch::default());
            let Answer::Consume(pending) = answer else { panic!("another answer") };
            assert_eq!(pending.answer.unwrap(), Consumption::Granted { remaining: 0 });
            let record = Record { value: vec![0; 3], expires_at: Timestamp::MAX };
            let question = Question::Put(RecordKey::new(&[name]).unwrap(), record, oneshot::channel().0);
            let Answer::Put(pending) = desk.apply(question, &mut Batch::default()) else { panic!("another answer") };
            assert!(pending.answer.unwrap());
            desk.clear();
        }
    }

    #[test]
    fn a_release_is_carried_out_again_if_its_group_was_not_written() {
        let failure = LogError::unavailable("on purpose");
        for (known, written, again) in [(true, Ok(()), false), (true, Err(&failure), true), (false, Err(&failure), false)] {
            let mut desk = Desk::new(DurableOptions::new());
            desk.loaded();
            let (key, use_id) = (a_key(1), UseId::from_bytes([1; 16]));
            if known {
                let _ = desk.apply(Question::Consume(once(key, use_id), oneshot::channel().0), &mut Batch::default());
            }
            let answer = desk.apply(Question::Release(key, use_id, Release::NotServed), &mut Batch::default());
            assert_eq!(Desk::tell(answer, written).is_some(), again, "{known} {written:?}");
        }
    }

    #[test]
    fn whoever_asks_a_disk_that_takes_nothing_hears_that_nothing_was_taken() {
        fn refused<T: std::fmt::Debug>(desk: &mut Desk, question: impl FnOnce(Reply<T>) -> Question) {
            let (reply, answer) = oneshot::channel();
            assert!(desk.refuse(question(reply), &LogError::unavailable("on purpose")).is_none());
            assert_eq!(answer.blocking_recv().unwrap().unwrap_err().kind(), StoreErrorKind::Refused);
        }

        let mut desk = Desk::new(DurableOptions::new());
        let name = || RecordKey::new(b"name").unwrap();
        refused(&mut desk, |reply| Question::Consume(once(a_key(1), UseId::from_bytes([1; 16])), reply));
        refused(&mut desk, |reply| Question::Delete(name(), reply));
        refused(&mut desk, |reply| Question::Get(name(), reply));
        refused(&mut desk, |reply| Question::Put(name(), Record { value: vec![], expires_at: Timestamp::MAX }, reply));
        refused(&mut desk, |reply| Question::Scan(name(), reply));
    }

    fn consume(log: &Log<Faulty>, key: ConsumptionKey, use_id: UseId) -> oneshot::Receiver<Result<Consumption, StoreError>> {
        let (reply, answer) = oneshot::channel();
        log.ask_urgently(Question::Consume(once(key, use_id), reply)).unwrap();
        answer
    }

    fn once(key: ConsumptionKey, use_id: UseId) -> Ask {
        Ask { key, use_id, limits: Limits::new(NonZeroU32::MIN, 0), retain_until: Timestamp::MAX }
    }

    fn a_key(number: u8) -> ConsumptionKey {
        ConsumptionKey::new(Network::Regtest, PaymentHash::from_bytes([number; 32]))
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Event {
        Loaded,
        LoadFailed,
        Refused,
    }

    /// A desk on a disk that fails when it is told to.
    struct Faulty {
        desk: Desk,
        /// Says since when it exists.
        begins: bool,
        write_fails: Arc<AtomicBool>,
        load_fails: Arc<AtomicBool>,
        events: Sender<Event>,
    }

    impl Faulty {
        fn note(&self, event: Event) {
            let _ = self.events.send(event);
        }
    }

    impl Machine for Faulty {
        type Ask = Question;
        type Answer = Answer;

        fn clear(&mut self) {
            self.desk.clear();
        }

        fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), LogError> {
            if self.load_fails.load(Ordering::SeqCst) {
                self.note(Event::LoadFailed);
                return Err(LogError::unavailable("on purpose"));
            }
            self.desk.load(key, value)
        }

        fn loaded(&mut self) {
            self.desk.loaded();
            self.note(Event::Loaded);
        }

        fn begin(&mut self, batch: &mut Batch) {
            if self.begins {
                self.desk.begin(batch);
            }
        }

        fn apply(&mut self, question: Question, batch: &mut Batch) -> Answer {
            let answer = self.desk.apply(question, batch);
            if self.write_fails.swap(false, Ordering::SeqCst) {
                // too long for the engine, which panics
                batch.change(&[7; 70_000], None, Some(&[]));
            }
            answer
        }

        fn tell(answer: Answer, written: Result<(), &LogError>) -> Option<Question> {
            Desk::tell(answer, written)
        }

        fn refuse(&mut self, question: Question, failure: &LogError) -> Option<Question> {
            let kept = self.desk.refuse(question, failure);
            self.note(Event::Refused);
            kept
        }
    }
}
