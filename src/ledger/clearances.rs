//! Entries that a person clears from another process, while this one has the ledger open.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{EntryId, LedgerError, LedgerErrorKind};
use crate::journal::{create_folder, new_file, sync_folder};

/// Files named by entries, in the folder `cleared` of a ledger.
#[derive(Debug)]
pub(super) struct Clearances(PathBuf);

impl Clearances {
    pub(super) fn of(ledger: &Path) -> Self {
        Self(ledger.join("cleared"))
    }

    fn path(&self, id: EntryId) -> PathBuf {
        self.0.join(id.to_string())
    }

    pub(super) fn is_there(&self, id: EntryId) -> bool {
        self.path(id).is_file()
    }

    /// Notes that an entry is to be cleared.
    pub(super) fn ask(&self, id: EntryId) -> Result<(), LedgerError> {
        self.write(id).map_err(|error| self.unavailable(&error))
    }

    fn write(&self, id: EntryId) -> io::Result<()> {
        create_folder(&std::path::absolute(&self.0)?)?;
        match new_file(&self.path(id)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => sync_folder(&self.0),
        }
    }

    /// Forgets that an entry is to be cleared.
    pub(super) fn remove(&self, id: EntryId) -> Result<(), LedgerError> {
        match fs::remove_file(self.path(id)) {
            // Another request cleared the entry at the same time.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.unavailable(&error)),
            _ => Ok(()),
        }
    }

    fn unavailable(&self, error: &io::Error) -> LedgerError {
        let why = format!("{}: {error}", self.0.display());
        LedgerError::new(LedgerErrorKind::Unavailable, why)
    }
}

/// Refuses a folder in which there is no ledger.
pub(super) fn check_is_ledger(folder: &Path) -> Result<(), LedgerError> {
    if folder.join("floor").is_file() {
        return Ok(());
    }
    let why = format!(
        "there is no ledger in {}: expected the folder of `Ledger::open`",
        folder.display()
    );
    Err(LedgerError::new(LedgerErrorKind::Unknown, why))
}
