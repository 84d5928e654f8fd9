mod gate;

use super::*;
use crate::journal::{JournalErrorKind, tests::bound};

use self::gate::Gate;

#[test]
fn while_all_is_read_again_every_command_is_refused_at_once() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::default());
    let machine = Gated {
        on_load: gate.clone(),
        ..Gated::default()
    };
    let journal = Journal::open(folder.path(), [7; 16], machine).unwrap();
    assert!(written(&journal, Ask::Write(b"record".to_vec())));
    gate.shut();
    assert!(
        !written(&journal, Ask::Write(NO_KEY.to_vec())),
        "the engine takes no such key"
    );
    gate.wait_for_visitor();
    let (ask, _told) = asking(Ask::Write(b"another".to_vec()));
    assert_eq!(
        journal.ask(ask).unwrap_err().kind(),
        JournalErrorKind::Refused
    );
    let (ask, told) = asking(Ask::Keep);
    journal.ask_urgently(ask).unwrap();
    gate.open();
    assert!(told.recv().unwrap(), "what is urgent waits, and is told");
    assert!(
        written(&journal, Ask::Write(b"another".to_vec())),
        "it is open again"
    );
}

#[test]
fn a_disk_that_hangs_holds_a_bounded_number_of_asks() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::default());
    let machine = Gated {
        on_apply: gate.clone(),
        ..Gated::default()
    };
    let journal = Journal::open(folder.path(), [7; 16], machine).unwrap();
    gate.shut();
    journal.ask(asking(Ask::Keep).0).unwrap();
    gate.wait_for_visitor();
    let taken = (0..2 * MAX_WAITING)
        .take_while(|_| journal.ask(asking(Ask::Keep).0).is_ok())
        .count();
    assert_eq!(taken, MAX_WAITING);
    let error = journal.ask(asking(Ask::Keep).0).unwrap_err();
    assert_eq!(error.kind(), JournalErrorKind::Refused);
    let urgent = (0..2 * MAX_URGENT)
        .take_while(|_| journal.ask_urgently(asking(Ask::Keep).0).is_ok())
        .count();
    assert_eq!(urgent, MAX_URGENT - MAX_WAITING);
    gate.open();
}

#[test]
fn an_answered_command_does_not_count_as_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), [7; 16], Gated::default()).unwrap();
    for _ in 0..100 {
        let (asks, told): (Vec<_>, Vec<_>) = (0..4)
            .map(|_| asking(Ask::Write(b"record".to_vec())))
            .unzip();
        asks.into_iter().for_each(|ask| journal.ask(ask).unwrap());
        assert!(told.iter().all(|told| told.recv().unwrap()));
    }
    assert_eq!(journal.waiting.load(Ordering::Relaxed), 0);
}

#[test]
fn a_bound_that_lags_behind_is_raised_when_the_journal_is_opened_and_synced_then() {
    let (folder, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = |folder: &Path| Engine::open(folder, [7; 16], |_, _| Ok(())).unwrap();
    let mut engine = open(folder.path());
    let mut write = |key| {
        let mut batch = Batch::default();
        batch.change(key, None, Some(b"value"));
        engine.commit(batch).unwrap();
    };
    write(b"one");
    let floor = std::fs::read(folder.path().join("floor")).unwrap();
    copy_journal(folder.path(), older.path());
    write(b"two");
    drop(engine);
    std::fs::write(folder.path().join("floor"), floor).unwrap();
    let mut engine = open(folder.path());
    assert!(engine.is_floor_unsynced(), "also where a sync of it failed");
    engine.sync_floor().unwrap();
    assert!(!engine.is_floor_unsynced());
    drop(engine);
    copy_journal(older.path(), folder.path());
    let error = Engine::open(folder.path(), [7; 16], |_, _| Ok(()))
        .err()
        .unwrap();
    assert_eq!(error.kind(), JournalErrorKind::Corrupt);
}

#[test]
fn who_asks_together_is_written_together_and_nothing_is_written_if_nothing_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (asks, mut writer) = writer(folder.path());
    let mut ask = |ask: fn() -> Ask, many| {
        (0..many).for_each(|_| asks.send(asking(ask()).0).unwrap());
        let before = writer.waiting.fetch_add(many, Ordering::Relaxed);
        let (first, open) = writer.wait();
        assert!(first.is_some() && open);
        writer.write_group(first);
        assert_eq!(
            before + many - writer.last_group,
            writer.waiting.load(Ordering::Relaxed)
        );
        (writer.last_group, bound(&folder.path().join("floor")))
    };
    let write: fn() -> Ask = || Ask::Write(b"record".to_vec());
    assert_eq!(ask(write, 1_500), (MAX_GROUP, 2));
    assert_eq!(ask(write, 0), (1_500 - MAX_GROUP, 3));
    assert_eq!(ask(|| Ask::Keep, 3), (3, 3));
    assert!(writer.last_commit > Duration::ZERO);
}

#[test]
fn the_writer_stays_awake_for_half_a_sync_and_a_millisecond_at_most_if_more_than_one_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (asks, mut writer) = writer(folder.path());
    writer.last_group = 2;
    assert!(writer.linger().is_none(), "nobody was waited for");
    let (before, half) = (Instant::now(), Duration::from_micros(300));
    writer.last_commit = 2 * half;
    let until = writer.linger_until();
    assert!(before + half <= until && until <= Instant::now() + half);
    writer.last_commit = Duration::from_secs(3_600);
    assert!(writer.linger_until() <= Instant::now() + MAX_LINGER);

    asks.send(asking(Ask::Keep).0).unwrap();
    let engine = writer.engine.take();
    assert!(writer.linger().is_none(), "the disk takes nothing");
    (writer.engine, writer.last_group) = (engine, 1);
    assert!(
        writer.linger().is_none(),
        "who asks alone is not waited for"
    );
    writer.last_group = 2;
    let linger = || (0..1_000).find_map(|_| writer.linger()).unwrap();
    assert!(linger().is_ok());
    drop(asks);
    assert_eq!(linger().err(), Some(RecvTimeoutError::Disconnected));
}

#[test]
fn the_writer_wakes_to_sync_a_bound_once_it_is_due_or_the_log_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let (_asks, mut writer) = writer(folder.path());
    let later = Instant::now() + Duration::from_secs(3_600);
    for (due, closed, synced) in [
        (later, false, false),
        (later, true, true),
        (Instant::now(), false, true),
    ] {
        assert_eq!(writer.next_due(), None);
        writer.write_group(Some(asking(Ask::Write(b"record".to_vec())).0));
        writer.floor_due = due;
        assert_eq!(writer.next_due(), Some(due));
        writer.sync_floor(closed);
        assert_eq!(writer.next_due().is_none(), synced);
        let before = Instant::now();
        writer.sync_floor(true);
        assert!(before + FLOOR_EVERY <= writer.floor_due);
        assert!(writer.floor_due <= Instant::now() + FLOOR_EVERY);
    }
    writer.engine = None;
    assert_eq!(writer.next_due(), Some(writer.reopen_due));
}

#[test]
fn after_a_write_that_failed_all_is_read_again_more_seldom_the_longer_it_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let (_asks, mut writer) = writer(folder.path());
    let seconds = Duration::from_secs;
    let is_due_in = |writer: &Writer<Gated>, before: Instant, after| {
        assert!(before + after <= writer.reopen_due);
        assert!(writer.reopen_due <= Instant::now() + after);
        assert!(writer.engine.is_none() && writer.failure().is_some());
    };
    let (keep, told) = asking(Ask::Keep);
    writer.write_group(Some(asking(Ask::Write(b"record".to_vec())).0));
    (writer.patience, writer.kept) = (seconds(4), [keep].into());
    let before = Instant::now();
    writer.write_group(Some(asking(Ask::Write(NO_KEY.to_vec())).0));
    is_due_in(&writer, before, seconds(4));
    writer.machine.fails_to_load = true;
    for patience in [8, 16, 30, 30].map(seconds) {
        let before = Instant::now();
        writer.tell_all(None);
        writer.reopen();
        is_due_in(&writer, before, patience);
        assert!(!writer.is_whole && writer.patience == patience);
    }
    writer.machine.fails_to_load = false;
    writer.machine.heard.lock().unwrap().clear();
    writer.reopen();
    assert!(writer.is_whole && writer.engine.is_some() && writer.failure().is_none());
    assert_eq!(
        *writer.machine.heard.lock().unwrap(),
        ["clear", "load", "loaded"]
    );
    writer.write_group(Some(asking(Ask::Write(b"record".to_vec())).0));
    assert!(told.recv().unwrap() && writer.patience == TRY_EVERY);

    (writer.engine, writer.patience) = (None, seconds(4));
    std::fs::remove_dir_all(folder.path()).unwrap();
    let before = Instant::now();
    writer.reopen();
    is_due_in(&writer, before, TRY_EVERY);
    assert_eq!(writer.patience, seconds(4), "nothing was read");
}

#[test]
fn of_a_machine_that_is_not_whole_no_more_is_kept_than_may_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (asks, mut writer) = writer(folder.path());
    let failure = JournalError::unavailable("on purpose");
    for (is_whole, before, kept) in [
        (false, MAX_URGENT - 2, MAX_URGENT),
        (true, MAX_URGENT, MAX_URGENT + 4),
    ] {
        let teller = asking(Ask::Keep).0.1;
        writer.kept = (0..before).map(|_| (Ask::Keep, teller.clone())).collect();
        writer.is_whole = is_whole;
        (0..3).for_each(|_| asks.send(asking(Ask::Keep).0).unwrap());
        writer.waiting.store(3, Ordering::Relaxed);
        writer.refuse(Some(asking(Ask::Keep).0), &failure);
        assert_eq!(writer.kept.len(), kept);
        assert_eq!(writer.waiting.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn while_the_disk_fails_all_is_read_again_in_time_and_not_because_somebody_asks() {
    for many in [0, 20] {
        let folder = tempfile::tempdir().unwrap();
        let (asks, mut writer) = writer(folder.path());
        let (keep, kept) = asking(Ask::Keep);
        (writer.patience, writer.kept) = (Duration::from_secs(3_600), [keep].into());
        writer.fail(JournalError::unavailable("on purpose"));
        let thread = std::thread::spawn(|| writer.run());
        for _ in 0..many {
            let (ask, told) = asking(Ask::Write(b"record".to_vec()));
            asks.send(ask).unwrap();
            assert!(!told.recv().unwrap());
        }
        drop(asks);
        assert!(kept.recv().unwrap(), "it is tried once more");
        thread.join().unwrap();
    }
}

#[test]
fn a_machine_takes_in_what_the_disk_holds_after_it_forgot_all() {
    let (folder, machine) = (tempfile::tempdir().unwrap(), Gated::default());
    let heard = machine.heard.clone();
    let _log = Journal::open(folder.path(), [7; 16], machine).unwrap();
    assert_eq!(*heard.lock().unwrap(), ["clear", "loaded"]);
}

/// A writer of a new journal, without its thread.
fn writer(folder: &Path) -> (Sender<Asked>, Writer<Gated>) {
    let (asks, queue) = mpsc::channel();
    let writer = Writer {
        machine: Gated::default(),
        is_whole: true,
        engine: Some(Engine::open(folder, [7; 16], |_, _| Ok(())).unwrap()),
        failure: Arc::default(),
        id: [7; 16],
        folder: folder.to_owned(),
        queue,
        waiting: Arc::default(),
        kept: VecDeque::new(),
        floor_due: Instant::now(),
        reopen_due: Instant::now(),
        patience: TRY_EVERY,
        last_group: 1,
        last_commit: Duration::ZERO,
        _lock: folder::lock(folder, "").unwrap(),
    };
    (asks, writer)
}

fn copy_journal(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("journal")).unwrap();
    std::fs::copy(from.join("journal/0.jnl"), to.join("journal/0.jnl")).unwrap();
}

/// Whether it was written, in the end.
fn written(journal: &Journal<Gated>, ask: Ask) -> bool {
    let (ask, told) = asking(ask);
    journal.ask(ask).is_ok() && told.recv().unwrap()
}

fn asking(ask: Ask) -> (Asked, Receiver<bool>) {
    let (teller, told) = mpsc::channel();
    ((ask, teller), told)
}

enum Ask {
    Write(Vec<u8>),
    /// Asked again for as long as it was not written.
    Keep,
}

type Asked = (Ask, Sender<bool>);

#[derive(Default)]
struct Gated {
    on_apply: Gate,
    on_load: Gate,
    fails_to_load: bool,
    heard: Arc<std::sync::Mutex<Vec<&'static str>>>,
}

impl Machine for Gated {
    const DAMAGED: &'static str = "";
    const OPEN_TWICE: &'static str = "";
    type Command = Asked;
    type Reply = Asked;

    fn clear(&mut self) {
        self.heard.lock().unwrap().push("clear");
    }

    fn load(&mut self, _: &[u8], _: &[u8]) -> Result<(), JournalError> {
        self.on_load.pass();
        self.heard.lock().unwrap().push("load");
        match self.fails_to_load {
            true => Err(JournalError::unavailable("on purpose")),
            false => Ok(()),
        }
    }

    fn loaded(&mut self) {
        self.heard.lock().unwrap().push("loaded");
    }

    fn apply(&mut self, (ask, teller): Self::Command, batch: &mut Batch) -> Self::Reply {
        self.on_apply.pass();
        if let Ask::Write(key) = &ask {
            batch.change(key, None, Some(b"value"));
        }
        (ask, teller)
    }

    fn tell(
        (ask, teller): Self::Reply,
        written: Result<(), &JournalError>,
    ) -> Option<Self::Command> {
        match ask {
            Ask::Keep if written.is_err() => Some((ask, teller)),
            _ => {
                let _ = teller.send(written.is_ok());
                None
            }
        }
    }

    fn refuse(
        &mut self,
        (ask, teller): Self::Command,
        failure: &JournalError,
    ) -> Option<Self::Command> {
        Self::tell((ask, teller), Err(failure))
    }
}

/// Too long for the engine, which panics.
static NO_KEY: [u8; 70_000] = [7; 70_000];
