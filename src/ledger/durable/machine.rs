use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::encoding::{Encoded, note_marker};
use crate::{
    clock::{Clock, Timestamp},
    journal::{Batch, JournalError, JournalErrorKind, Machine},
    ledger::{
        EntryId,
        error::{LedgerError, LedgerErrorKind},
        state::{Books, Changes, Later},
    },
    lock::lock,
};

/// The books of a ledger in a folder, which its writer thread changes.
pub(in crate::ledger) struct LedgerMachine {
    /// Shared with the ledger, which reads without a command.
    pub(in crate::ledger) books: Arc<Mutex<Books>>,
    pub(in crate::ledger) clock: Arc<dyn Clock>,
    /// Whether the folder says that it is one of a ledger.
    pub(in crate::ledger) is_marked: bool,
    /// What a person said that the time is, to replace later moments.
    pub(in crate::ledger) true_time: Option<Timestamp>,
}

/// A command to the writer thread.
pub(in crate::ledger) enum Command {
    Change(Box<dyn Change>),
    Later(EntryId, Later),
}

/// The reply to a command, held back until its changes are written.
pub(in crate::ledger) enum Reply {
    Change(Box<dyn Unsent>),
    /// Nobody waits. This is the command to repeat if it was not written.
    Later(Option<Command>),
}

/// A change of the books for which a caller waits.
pub(in crate::ledger) trait Change: Send {
    fn apply(
        self: Box<Self>,
        books: &mut Books,
        now: Timestamp,
        changes: &mut dyn Changes,
    ) -> Box<dyn Unsent>;

    fn refuse(self: Box<Self>, failure: &JournalError);
}

/// A reply, and the caller to send it to, who may be gone.
pub(in crate::ledger) trait Unsent {
    fn send(self: Box<Self>, written: Result<(), &JournalError>);
}

struct Asked<F, T, E> {
    change: F,
    sender: oneshot::Sender<Result<T, E>>,
}

struct Answered<T, E> {
    result: Result<T, E>,
    sender: oneshot::Sender<Result<T, E>>,
}

impl Command {
    /// Creates a change, and where its outcome arrives.
    pub(in crate::ledger) fn change<T, E, F>(change: F) -> (Self, oneshot::Receiver<Result<T, E>>)
    where
        T: Send + 'static,
        E: From<LedgerError> + Send + 'static,
        F: FnOnce(&mut Books, Timestamp, &mut dyn Changes) -> Result<T, E> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        (Self::Change(Box::new(Asked { change, sender })), receiver)
    }
}

impl<F, T, E> Change for Asked<F, T, E>
where
    T: Send + 'static,
    E: From<LedgerError> + Send + 'static,
    F: FnOnce(&mut Books, Timestamp, &mut dyn Changes) -> Result<T, E> + Send,
{
    fn apply(
        self: Box<Self>,
        books: &mut Books,
        now: Timestamp,
        changes: &mut dyn Changes,
    ) -> Box<dyn Unsent> {
        Box::new(Answered {
            result: (self.change)(books, now, changes),
            sender: self.sender,
        })
    }

    fn refuse(self: Box<Self>, failure: &JournalError) {
        let _ = self.sender.send(Err(ledger_error(failure).into()));
    }
}

impl<T, E: From<LedgerError>> Unsent for Answered<T, E> {
    fn send(self: Box<Self>, written: Result<(), &JournalError>) {
        let written = written.map_err(|failure| ledger_error(failure).into());
        let _ = self.sender.send(written.and(self.result));
    }
}

impl Machine for LedgerMachine {
    const DAMAGED: &'static str = "stop paying and keep the folder; an empty one knows nothing of what was spent or is in flight, so budgets would \
         start anew and payments could be made twice: look at your node's payments before you open one (never put back an older copy)";
    const OPEN_TWICE: &'static str = "share one `Ledger` in one process, and decide from another one with `Approvals::open` (a second folder would \
         have budgets of its own)";
    type Command = Command;
    type Reply = Reply;

    fn clear(&mut self) {
        lock(&self.books).clear();
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), JournalError> {
        match Encoded::read(key, value) {
            Some(Encoded::Budget(path, record)) => lock(&self.books).load_budget(&path, record),
            Some(Encoded::Carried(key, carried)) => lock(&self.books).load_carried(key, carried),
            Some(Encoded::Entry(entry)) => lock(&self.books).load_entry(*entry),
            Some(Encoded::Marker) => self.is_marked = true,
            None => {
                return Err(JournalError::corrupt(
                    "a record that this version can read was expected",
                ));
            }
        }
        Ok(())
    }

    fn loaded(&mut self) {
        lock(&self.books).loaded();
    }

    /// What an earlier process had only reserved is free again.
    fn begin(&mut self, batch: &mut Batch) {
        if !self.is_marked {
            note_marker(batch);
        }
        let mut books = lock(&self.books);
        if let Some(now) = self.true_time.take() {
            books.repair_time(now, batch);
        }
        let now = books.time(self.clock.now());
        books.release_reserved(now, batch);
    }

    fn apply(&mut self, command: Command, batch: &mut Batch) -> Reply {
        let mut books = lock(&self.books);
        let now = books.time(self.clock.now());
        match command {
            Command::Change(change) => Reply::Change(change.apply(&mut books, now, batch)),
            Command::Later(id, later) => {
                let changed = books.later(id, later, now, batch);
                Reply::Later(changed.then_some(Command::Later(id, later)))
            }
        }
    }

    fn tell(reply: Reply, written: Result<(), &JournalError>) -> Option<Command> {
        match reply {
            Reply::Change(reply) => {
                reply.send(written);
                None
            }
            Reply::Later(again) => again.filter(|_| written.is_err()),
        }
    }

    /// Whatever need not be written at once is kept until the disk takes writes, if it is about an
    /// entry that the disk may hold.
    fn refuse(&mut self, command: Command, failure: &JournalError) -> Option<Command> {
        match command {
            Command::Change(change) => {
                change.refuse(failure);
                None
            }
            Command::Later(id, later) => {
                let mut books = lock(&self.books);
                let now = books.time(self.clock.now());
                let is_known = !books.is_whole() || books.later(id, later, now, &mut ());
                is_known.then_some(Command::Later(id, later))
            }
        }
    }
}

pub(in crate::ledger) fn ledger_error(error: &JournalError) -> LedgerError {
    let kind = match error.kind() {
        JournalErrorKind::Corrupt => LedgerErrorKind::Corrupt,
        JournalErrorKind::Refused | JournalErrorKind::Unavailable => LedgerErrorKind::Unavailable,
    };
    LedgerError::new(kind, error.clone())
}
