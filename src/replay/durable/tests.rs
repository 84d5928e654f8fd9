use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
};

use tokio::sync::oneshot;

use super::{
    machine::{Command, Reply, ReplySender, StoreMachine},
    *,
};
use crate::{
    clock::{TestClock, Timestamp},
    journal::{Batch, Journal, JournalError, Machine},
    payment::{Network, PaymentHash},
    replay::{
        Consumption, ConsumptionKey, RecordKey, ReleaseReason, ReplayStore as _, StoreError,
        StoreErrorKind, UseId, UseLimits, UseRequest, state::records::Record,
    },
};

#[test]
fn a_release_that_comes_after_a_reload_failed_half_way_is_carried_out() {
    let (folder, (events, heard)) = (tempfile::tempdir().unwrap(), channel());
    let (write_fails, load_fails) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let (machine, begins) = (StoreMachine::new(DurableOptions::new()), true);
    let faulty = Faulty {
        machine,
        begins,
        write_fails: write_fails.clone(),
        load_fails: load_fails.clone(),
        events,
    };
    let journal = Journal::open(folder.path(), [7; 16], faulty).unwrap();
    let until = |event| while heard.recv().unwrap() != event {};
    let (key, id) = (a_key(1), UseId::from_bytes([1; 16]));
    let answer = consume(&journal, key, id);
    assert_eq!(
        answer.blocking_recv().unwrap().unwrap(),
        Consumption::Granted { remaining: 0 }
    );

    load_fails.store(true, Ordering::SeqCst);
    write_fails.store(true, Ordering::SeqCst);
    assert!(
        consume(&journal, a_key(2), UseId::from_bytes([2; 16]))
            .blocking_recv()
            .unwrap()
            .is_err()
    );
    until(Event::LoadFailed);
    journal
        .ask_urgently(Command::Release(key, id, ReleaseReason::NotServed))
        .unwrap();
    until(Event::Refused);
    load_fails.store(false, Ordering::SeqCst);
    until(Event::Loaded);
    let answer = consume(&journal, key, UseId::from_bytes([3; 16]))
        .blocking_recv()
        .unwrap()
        .unwrap();
    assert_eq!(
        answer,
        Consumption::Granted { remaining: 0 },
        "the use that was given back"
    );
    let answer = consume(&journal, key, id).blocking_recv().unwrap().unwrap();
    assert_eq!(answer, Consumption::Spent, "the use that is over");
}

#[test]
fn a_release_in_a_group_that_was_not_written_is_carried_out_later() {
    let (folder, (events, heard)) = (tempfile::tempdir().unwrap(), channel());
    let write_fails = Arc::<AtomicBool>::default();
    let (machine, begins) = (StoreMachine::new(DurableOptions::new()), true);
    let faulty = Faulty {
        machine,
        begins,
        write_fails: write_fails.clone(),
        load_fails: Arc::default(),
        events,
    };
    let journal = Journal::open(folder.path(), [7; 16], faulty).unwrap();
    let (key, id) = (a_key(1), UseId::from_bytes([1; 16]));
    assert_eq!(heard.recv().unwrap(), Event::Loaded);
    let answer = consume(&journal, key, id).blocking_recv().unwrap().unwrap();
    assert_eq!(answer, Consumption::Granted { remaining: 0 });

    write_fails.store(true, Ordering::SeqCst);
    journal
        .ask_urgently(Command::Release(key, id, ReleaseReason::NotServed))
        .unwrap();
    assert_eq!(
        heard.recv().unwrap(),
        Event::Loaded,
        "the disk is read again"
    );
    let answer = consume(&journal, key, UseId::from_bytes([2; 16]))
        .blocking_recv()
        .unwrap()
        .unwrap();
    assert_eq!(
        answer,
        Consumption::Granted { remaining: 0 },
        "the use that was given back"
    );
}

#[test]
fn a_folder_that_does_not_say_since_when_it_exists_exists_since_it_was_opened() {
    let (folder, (events, _heard)) = (tempfile::tempdir().unwrap(), channel());
    let at = |seconds: u64| Timestamp::from_unix_seconds(1_700_000_000 + seconds);
    let clock = TestClock::at(at(1_000));
    let open = || {
        DurableStore::open_with(folder.path(), DurableOptions::new().clock(clock.clone())).unwrap()
    };
    let machine = StoreMachine::new(DurableOptions::new());
    let silent = Faulty {
        machine,
        begins: false,
        write_fails: Arc::default(),
        load_fails: Arc::default(),
        events,
    };
    let journal = Journal::open(folder.path(), [7; 16], silent).unwrap();
    let answer = consume(&journal, a_key(1), UseId::from_bytes([1; 16]))
        .blocking_recv()
        .unwrap()
        .unwrap();
    assert_eq!(answer, Consumption::Granted { remaining: 0 });
    drop(journal);
    for now in [2_000, 3_000, 500] {
        clock.set(at(now));
        assert_eq!(open().created_at(), at(2_000), "opened at {now}");
    }
}

#[test]
fn what_was_not_written_is_forgotten_and_takes_no_room() {
    let one = std::num::NonZeroUsize::MIN;
    let mut machine = StoreMachine::new(
        DurableOptions::new()
            .capacity(one)
            .record_capacity(2 + 3 + 128),
    );
    for (payment, name) in [(1, 1), (1, 1), (2, 2)] {
        machine.loaded();
        let ask = once(a_key(payment), UseId::random().unwrap());
        let answer = machine.apply(
            Command::Consume(ask, oneshot::channel().0),
            &mut Batch::default(),
        );
        let Reply::Consume(reply) = answer else {
            panic!("another answer")
        };
        assert_eq!(reply.result.unwrap(), Consumption::Granted { remaining: 0 });
        let record = Record {
            value: vec![0; 3],
            expires_at: Timestamp::MAX,
        };
        let command = Command::Put(
            RecordKey::new(&[name]).unwrap(),
            record,
            oneshot::channel().0,
        );
        let Reply::Put(reply) = machine.apply(command, &mut Batch::default()) else {
            panic!("another answer")
        };
        assert!(reply.result.unwrap());
        machine.clear();
    }
}

#[test]
fn a_release_is_carried_out_again_if_its_group_was_not_written() {
    let failure = JournalError::unavailable("on purpose");
    for (known, written, again) in [
        (true, Ok(()), false),
        (true, Err(&failure), true),
        (false, Err(&failure), false),
    ] {
        let mut machine = StoreMachine::new(DurableOptions::new());
        machine.loaded();
        let (key, use_id) = (a_key(1), UseId::from_bytes([1; 16]));
        if known {
            let _ = machine.apply(
                Command::Consume(once(key, use_id), oneshot::channel().0),
                &mut Batch::default(),
            );
        }
        let answer = machine.apply(
            Command::Release(key, use_id, ReleaseReason::NotServed),
            &mut Batch::default(),
        );
        assert_eq!(
            StoreMachine::tell(answer, written).is_some(),
            again,
            "{known} {written:?}"
        );
    }
}

#[test]
fn if_the_disk_takes_nothing_the_answer_says_that_nothing_was_taken() {
    fn refused<T: std::fmt::Debug>(
        machine: &mut StoreMachine,
        command: impl FnOnce(ReplySender<T>) -> Command,
    ) {
        let (reply, answer) = oneshot::channel();
        assert!(
            machine
                .refuse(command(reply), &JournalError::unavailable("on purpose"))
                .is_none()
        );
        assert_eq!(
            answer.blocking_recv().unwrap().unwrap_err().kind(),
            StoreErrorKind::Refused
        );
    }

    let mut machine = StoreMachine::new(DurableOptions::new());
    let name = || RecordKey::new(b"name").unwrap();
    refused(&mut machine, |reply| {
        Command::Consume(once(a_key(1), UseId::from_bytes([1; 16])), reply)
    });
    refused(&mut machine, |reply| Command::Delete(name(), reply));
    refused(&mut machine, |reply| Command::Get(name(), reply));
    refused(&mut machine, |reply| {
        Command::Put(
            name(),
            Record {
                value: vec![],
                expires_at: Timestamp::MAX,
            },
            reply,
        )
    });
    refused(&mut machine, |reply| Command::Scan(name(), reply));
}

fn consume(
    journal: &Journal<Faulty>,
    key: ConsumptionKey,
    use_id: UseId,
) -> oneshot::Receiver<Result<Consumption, StoreError>> {
    let (reply, answer) = oneshot::channel();
    journal
        .ask_urgently(Command::Consume(once(key, use_id), reply))
        .unwrap();
    answer
}

fn once(key: ConsumptionKey, use_id: UseId) -> UseRequest {
    UseRequest::new(
        key,
        use_id,
        UseLimits::new(NonZeroU32::MIN, 0),
        Timestamp::MAX,
    )
}

fn a_key(number: u8) -> ConsumptionKey {
    ConsumptionKey::lightning(Network::Regtest, PaymentHash::from_bytes([number; 32]))
}

#[derive(Debug, PartialEq, Eq)]
enum Event {
    Loaded,
    LoadFailed,
    Refused,
}

/// A machine on a disk that fails if the test sets its flags.
struct Faulty {
    machine: StoreMachine,
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
    const DAMAGED: &'static str = "";
    const OPEN_TWICE: &'static str = "";
    type Command = Command;
    type Reply = Reply;

    fn clear(&mut self) {
        self.machine.clear();
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), JournalError> {
        if self.load_fails.load(Ordering::SeqCst) {
            self.note(Event::LoadFailed);
            return Err(JournalError::unavailable("on purpose"));
        }
        self.machine.load(key, value)
    }

    fn loaded(&mut self) {
        self.machine.loaded();
        self.note(Event::Loaded);
    }

    fn begin(&mut self, batch: &mut Batch) {
        if self.begins {
            self.machine.begin(batch);
        }
    }

    fn apply(&mut self, command: Command, batch: &mut Batch) -> Reply {
        let answer = self.machine.apply(command, batch);
        if self.write_fails.swap(false, Ordering::SeqCst) {
            // too long for the engine, which panics
            batch.change(&[7; 70_000], None, Some(&[]));
        }
        answer
    }

    fn tell(answer: Reply, written: Result<(), &JournalError>) -> Option<Command> {
        StoreMachine::tell(answer, written)
    }

    fn refuse(&mut self, command: Command, failure: &JournalError) -> Option<Command> {
        let kept = self.machine.refuse(command, failure);
        self.note(Event::Refused);
        kept
    }
}
