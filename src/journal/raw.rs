use std::path::Path;

use fjall::{Database, Keyspace, PersistMode};

use super::{
    JournalError,
    engine::{database, describe, keyspace},
};

/// The engine by itself, opened and synced as the journal does, with nothing of the journal around it: what
/// benches measure against.
pub(crate) struct RawEngine {
    records: Keyspace,
    database: Database,
}

impl RawEngine {
    pub(crate) fn create(folder: &Path) -> Result<Self, JournalError> {
        let database = database(folder)?;
        Ok(Self {
            records: keyspace(&database)?,
            database,
        })
    }

    pub(crate) fn write(&mut self, records: &[(Vec<u8>, Vec<u8>)]) -> Result<(), JournalError> {
        let mut writes = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for (key, value) in records {
            writes.insert(&self.records, key.as_slice(), value.as_slice());
        }
        writes
            .commit()
            .map_err(|error| JournalError::unavailable(describe(&error)))
    }
}
