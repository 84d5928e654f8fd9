use super::*;
use crate::journal::JournalErrorKind;

#[test]
fn while_all_is_read_again_whoever_asks_is_refused_at_once() {
    let (folder, machine, gate) = (
        tempfile::tempdir().unwrap(),
        Gated::default(),
        Gate::default(),
    );
    let journal = Journal::open(
        folder.path(),
        [7; 16],
        Gated {
            on_load: gate.clone(),
            ..machine
        },
    )
    .unwrap();
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
    let (folder, machine, gate) = (
        tempfile::tempdir().unwrap(),
        Gated::default(),
        Gate::default(),
    );
    let journal = Journal::open(
        folder.path(),
        [7; 16],
        Gated {
            on_apply: gate.clone(),
            ..machine
        },
    )
    .unwrap();
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
fn whoever_was_answered_does_not_count_as_waiting() {
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
    drop(engine);
    copy_journal(older.path(), folder.path());
    let error = Engine::open(folder.path(), [7; 16], |_, _| Ok(()))
        .err()
        .unwrap();
    assert_eq!(error.kind(), JournalErrorKind::Corrupt);
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

fn asking(ask: Ask) -> ((Ask, Sender<bool>), Receiver<bool>) {
    let (teller, told) = mpsc::channel();
    ((ask, teller), told)
}

enum Ask {
    Write(Vec<u8>),
    /// Asked again for as long as it was not written.
    Keep,
}

#[derive(Default)]
struct Gated {
    on_apply: Gate,
    on_load: Gate,
}

impl Machine for Gated {
    type Command = (Ask, Sender<bool>);
    type Reply = (Ask, Sender<bool>);

    fn clear(&mut self) {}

    fn load(&mut self, _: &[u8], _: &[u8]) -> Result<(), JournalError> {
        self.on_load.pass();
        Ok(())
    }

    fn loaded(&mut self) {}

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

/// Where a thread stands until it is let through.
#[derive(Clone, Default)]
struct Gate(Arc<(std::sync::Mutex<State>, std::sync::Condvar)>);

#[derive(Default)]
struct State {
    shut: bool,
    visitor: bool,
}

impl Gate {
    fn shut(&self) {
        self.0.0.lock().unwrap().shut = true;
    }

    fn open(&self) {
        self.0.0.lock().unwrap().shut = false;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.visitor = state.shut;
        self.0.1.notify_all();
        drop(self.0.1.wait_while(state, |state| state.shut).unwrap());
    }

    fn wait_for_visitor(&self) {
        let state = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(state, |state| !state.visitor).unwrap());
    }
}

/// Too long for the engine, which panics.
static NO_KEY: [u8; 70_000] = [7; 70_000];
