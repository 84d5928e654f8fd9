use std::{fmt, path::Path};

use crate::{
    clock::Timestamp,
    journal,
    replay::{
        ConsumptionKey, StoreError, UseId,
        durable::{payment_record_key, store_error, write_payment},
        state::changes::{PaymentState, UseState},
    },
};

/// The engine of the durable store without the store, for benches: one writer that syncs each
/// batch.
pub struct RawEngine(journal::RawEngine);

/// The record that the first use of a payment writes.
#[derive(Clone, Debug)]
pub struct RawRecord((Vec<u8>, Vec<u8>));

impl RawEngine {
    /// Creates an engine in an empty folder.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written.
    pub fn create(folder: &Path) -> Result<Self, StoreError> {
        journal::RawEngine::create(folder)
            .map(Self)
            .map_err(|error| store_error(&error))
    }

    /// Writes a batch and syncs it.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written.
    pub fn write(
        &mut self,
        records: impl IntoIterator<Item = RawRecord>,
    ) -> Result<(), StoreError> {
        let records: Vec<_> = records.into_iter().map(|record| record.0).collect();
        self.0.write(&records).map_err(|error| store_error(&error))
    }
}

impl RawRecord {
    /// Creates the record that a use of `key` writes.
    #[must_use]
    pub fn new(key: ConsumptionKey, use_id: UseId) -> Self {
        let last_use = UseState {
            granted_at: Timestamp::MAX,
            remaining: 0,
            released: false,
        };
        let state = PaymentState {
            retain_until: Timestamp::MAX,
            taken: 1,
            restored: 0,
            restores: 2,
            last: use_id,
            last_use,
        };
        Self((
            payment_record_key(&key).to_vec(),
            write_payment(&state).to_vec(),
        ))
    }
}

impl fmt::Debug for RawEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawEngine").finish_non_exhaustive()
    }
}
