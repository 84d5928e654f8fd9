use std::path::Path;

use fjall::{Database, Keyspace, PersistMode};

use super::{
    LogError,
    engine::{database, describe, keyspace},
};

/// The engine by itself, opened and synced as the log does, with nothing of the log around it: what
/// benches measure against.
pub(crate) struct RawEngine {
    records: Keyspace,
    database: Database,
}

impl RawEngine {
    pub(crate) fn create(folder: &Path) -> Result<Self, LogError> {
        let database = database(folder)?;
        Ok(Self {
            records: keyspace(&database)?,
            database,
        })
    }

    pub(crate) fn write(&mut self, records: &[(Vec<u8>, Vec<u8>)]) -> Result<(), LogError> {
        let mut writes = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for (key, value) in records {
            writes.insert(&self.records, key.as_slice(), value.as_slice());
        }
        writes
            .commit()
            .map_err(|error| LogError::unavailable(describe(&error)))
    }
}
