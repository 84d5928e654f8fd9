use std::path::Path;

use crate::{
    clock::Timestamp,
    log::Engine,
    replay::{
        ConsumptionKey, StoreError, UseId,
        book::{Changes, Entry, Use},
        desk::told,
    },
};

/// The durable store's engine without the store: what its own batches reach, from one writer, synced. For benches.
pub struct RawEngine(Engine);

impl RawEngine {
    /// Makes one in an empty folder.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be written.
    pub fn create(folder: &Path) -> Result<Self, StoreError> {
        Engine::open(folder, [0; 16], |_, _| Ok(())).map(Self).map_err(|error| told(&error))
    }

    /// Writes the records that a first use of each key makes, in one batch.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be written.
    pub fn write(&mut self, keys: &[ConsumptionKey], use_id: UseId) -> Result<(), StoreError> {
        let mut batch = crate::log::Batch::default();
        let at = Timestamp::from_unix_seconds(1);
        for key in keys {
            let last_use = Use { granted_at: at, remaining: 0, released: false };
            let entry = Entry { retain_until: at, taken: 1, restored: 0, restores: 0, last: use_id, last_use };
            batch.entry(key, None, Some(&entry));
        }
        self.0.commit(batch).map_err(|error| told(&error))
    }
}

impl std::fmt::Debug for RawEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawEngine").finish_non_exhaustive()
    }
}
