use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use super::machine::{Command, LedgerMachine, ledger_error};
use crate::{
    clock::{Clock, Timestamp},
    journal::{Journal, gone},
    ledger::{
        EntryId,
        error::{LedgerError, LedgerErrorKind},
        state::{Books, Changes, Later},
    },
};

/// Opens the journal in `folder`, loads `books` from it, and starts its writer thread. `true_time`
/// replaces later moments in it.
pub(in crate::ledger) fn open(
    folder: &Path,
    books: Arc<Mutex<Books>>,
    clock: Arc<dyn Clock>,
    true_time: Option<Timestamp>,
) -> Result<Journal<LedgerMachine>, LedgerError> {
    if folder.is_file() {
        let why = format!(
            "{}: expected a folder, and this is a file",
            folder.display()
        );
        return Err(LedgerError::new(LedgerErrorKind::Unavailable, why));
    }
    let new_id = *EntryId::random()?.as_bytes();
    let machine = LedgerMachine {
        books,
        clock,
        is_marked: false,
        true_time,
    };
    Journal::open(folder, new_id, machine).map_err(|error| {
        let failure = ledger_error(&error);
        LedgerError::new(failure.kind(), format!("{}: {error}", folder.display()))
    })
}

/// Lets the writer thread change the books, and waits until the change is written.
pub(in crate::ledger) async fn change<T: Send + 'static, E: From<LedgerError> + Send + 'static>(
    journal: &Journal<LedgerMachine>,
    change: impl FnOnce(&mut Books, Timestamp, &mut dyn Changes) -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let (command, outcome) = Command::change(change);
    journal.ask(command).map_err(|error| ledger_error(&error))?;
    outcome
        .await
        .unwrap_or_else(|_| Err(ledger_error(&gone()).into()))
}

/// Lets the writer thread change the books soon, even if the disk takes no writes now.
pub(in crate::ledger) fn later(journal: &Journal<LedgerMachine>, id: EntryId, later: Later) {
    // Each follows a begin, and those are bounded. This queue overflows only if a caller ignores
    // refusals.
    let _ = journal.ask_urgently(Command::Later(id, later));
}
