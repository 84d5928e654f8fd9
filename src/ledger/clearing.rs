//! Clearing from another process.

use std::path::Path;

use super::{
    EntryId, Ledger, LedgerError,
    clearances::{Clearances, check_is_ledger},
};

impl Ledger {
    /// Asks whoever has the ledger in `folder` open to [clear](Self::cleared) an entry, whose id is
    /// in the error of a request to that host. The paying client does so when it would refuse to pay
    /// the host. Blocks while a file is written.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if there is no ledger in the folder, or if the folder cannot be written.
    pub fn ask_to_clear(folder: impl AsRef<Path>, id: EntryId) -> Result<(), LedgerError> {
        let folder = folder.as_ref();
        check_is_ledger(folder)?;
        Clearances::of(folder).ask(id)
    }

    /// Forgets that another process asked to clear an entry: its payment is in another trouble now.
    pub(super) fn forget_clearance(&self, id: EntryId) {
        if let Some(asked) = self.clearances()
            && let Err(error) = asked.remove(id)
        {
            crate::trace::warn(format_args!(
                "what asks to clear payment {id} cannot be removed: {error}"
            ));
        }
    }

    /// Clears those of these entries that another process [asked](Self::ask_to_clear) to clear.
    ///
    /// # Errors
    ///
    /// As for [`cleared`](Self::cleared).
    pub async fn clear_as_asked(&self, entries: &[EntryId]) -> Result<(), LedgerError> {
        let Some(asked) = self.clearances() else {
            return Ok(());
        };
        for id in entries {
            if asked.is_there(*id) {
                self.cleared(*id).await?;
                asked.remove(*id)?;
            }
        }
        Ok(())
    }
}
