use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use super::{
    parked::{ApprovalId, Parked},
    shelf::{Decision, Shelf},
};
use crate::{
    journal::{create_folder, new_file, sync_folder},
    ledger::{EntryId, LedgerError, LedgerErrorKind},
};

/// Parked payments as files `<id>.pending`, `<id>.approved` or `<id>.refused` of mode 0600, in the
/// folder `approvals` of a ledger. A decision renames the file.
pub(super) struct FolderShelf(PathBuf);

impl FolderShelf {
    pub(super) fn open(ledger: &Path) -> Result<Self, LedgerError> {
        let folder = ledger.join("approvals");
        std::path::absolute(&folder)
            .and_then(|folder| create_folder(&folder))
            .map_err(|error| unavailable(&folder, &error))?;
        Ok(Self(folder))
    }

    fn path(&self, id: ApprovalId, decision: Decision) -> PathBuf {
        self.0.join(format!("{id}.{}", extension(decision)))
    }

    fn run<T>(&self, result: io::Result<T>) -> Result<T, LedgerError> {
        result.map_err(|error| unavailable(&self.0, &error))
    }

    fn read_all(&self) -> io::Result<Vec<(Parked, Decision)>> {
        let mut all = Vec::new();
        for file in fs::read_dir(&self.0)? {
            let path = file?.path();
            let Some(decision) = Decision::ALL.into_iter().find(|decision| {
                path.extension()
                    .is_some_and(|own| own == extension(*decision))
            }) else {
                continue;
            };
            match fs::read_to_string(&path) {
                // A file under another name than its content's was not written here.
                Ok(text) => all.extend(
                    Parked::from_json(&text)
                        .filter(|parked| self.path(parked.id, decision) == path)
                        .map(|parked| (parked, decision)),
                ),
                // Decided in between.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Writes under a name that nobody reads, and renames.
    fn write(&self, parked: &Parked, draft: &Path) -> io::Result<()> {
        let mut file = new_file(draft)?;
        file.write_all(parked.to_json().as_bytes())?;
        file.sync_all()?;
        fs::rename(draft, self.path(parked.id, Decision::Pending))?;
        sync_folder(&self.0)
    }
}

impl Shelf for FolderShelf {
    fn all(&self) -> Result<Vec<(Parked, Decision)>, LedgerError> {
        self.run(self.read_all())
    }

    fn keep(&self, parked: &Parked) -> Result<(), LedgerError> {
        let draft = self.0.join(format!("{}.draft", EntryId::random()?));
        let written = self.write(parked, &draft);
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        self.run(written)
    }

    fn change(
        &self,
        id: ApprovalId,
        from: Decision,
        to: Option<Decision>,
    ) -> Result<bool, LedgerError> {
        let from = self.path(id, from);
        // Of two callers that rename or remove one file, the system lets one succeed.
        let changed = match to {
            Some(to) => fs::rename(&from, self.path(id, to)),
            None => fs::remove_file(&from),
        };
        match changed {
            Ok(()) => self.run(sync_folder(&self.0).map(|()| true)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => self.run(Err(error)),
        }
    }
}

const fn extension(decision: Decision) -> &'static str {
    match decision {
        Decision::Approved => "approved",
        Decision::Pending => "pending",
        Decision::Refused => "refused",
    }
}

fn unavailable(folder: &Path, error: &io::Error) -> LedgerError {
    let why = format!("{}: {error}", folder.display());
    LedgerError::new(LedgerErrorKind::Unavailable, why)
}
