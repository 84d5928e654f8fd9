use std::path::Path;

use fjall::{Database, Keyspace, PersistMode};

use super::{
    JournalError,
    engine::{database, describe, keyspace},
};

/// The storage engine without the journal around it, opened and synced as the journal does. Benches
/// measure against it.
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
