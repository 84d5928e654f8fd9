//! The storage engine below the journal, and the checks around it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};

use super::{
    Batch, JournalError,
    batch::Tally,
    floor::Floor,
    folder,
    head::{HEAD, Head},
    wal,
};

/// The open files of a journal: those of the storage engine, and the side file.
pub(super) struct Engine {
    records: Keyspace,
    database: Database,
    floor: Floor,
    head: Head,
}

impl Engine {
    /// Opens the journal in `folder`, or creates it with `new_id`, and shows each record to `load`.
    pub(super) fn open(
        folder: &Path,
        new_id: [u8; 16],
        load: impl FnMut(&[u8], &[u8]) -> Result<(), JournalError>,
    ) -> Result<Self, JournalError> {
        // The engine asserts that its files are as it left them.
        catch_unwind(AssertUnwindSafe(|| {
            Self::open_unguarded(folder, new_id, load)
        }))
        .unwrap_or_else(|_| {
            Err(JournalError::damaged(
                "the engine panicked on its files".to_owned(),
            ))
        })
    }

    /// Shows each record to `load`.
    pub(super) fn read(
        &self,
        load: impl FnMut(&[u8], &[u8]) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        catch_unwind(AssertUnwindSafe(|| read_all(&self.records, load)))
            .unwrap_or_else(|_| {
                Err(JournalError::damaged(
                    "the engine panicked on its files".to_owned(),
                ))
            })
            .map(drop)
    }

    /// Returns the id of this journal.
    pub(super) const fn id(&self) -> [u8; 16] {
        self.head.id
    }

    /// Writes a batch and syncs it. After an error the engine must be opened again: only that shows
    /// whether the batch was written.
    pub(super) fn commit(&mut self, batch: Batch) -> Result<(), JournalError> {
        catch_unwind(AssertUnwindSafe(|| self.commit_unguarded(batch))).unwrap_or_else(|_| {
            Err(JournalError::unavailable(
                "the engine panicked while it wrote",
            ))
        })
    }

    pub(super) const fn is_floor_unsynced(&self) -> bool {
        self.floor.is_unsynced()
    }

    /// Makes the bound in the side file safe from a loss of power.
    pub(super) fn sync_floor(&mut self) -> Result<(), JournalError> {
        self.floor.sync()
    }

    fn open_unguarded(
        folder: &Path,
        new_id: [u8; 16],
        load: impl FnMut(&[u8], &[u8]) -> Result<(), JournalError>,
    ) -> Result<Self, JournalError> {
        let journals = folder.join("journal");
        let floor_path = folder.join("floor");
        let floor = match Floor::open(&floor_path)? {
            Some(floor) => floor,
            None if journals.exists() => {
                return Err(JournalError::damaged(format!(
                    "{} is missing or empty",
                    floor_path.display()
                )));
            }
            None => Floor::create(&floor_path, new_id)?,
        };
        if floor.sequence() == 0 && journals.exists() {
            // Nothing was acknowledged yet, and the engine does not complete files that it left
            // half made.
            std::fs::remove_dir_all(&journals)?;
        }
        folder::create(&journals)?;
        wal::cut_torn_batch(&journals, floor.sequence())?;
        let database = database(&journals)?;
        let records = keyspace(&database)?;
        // The engine does not sync the folder that holds those of its keyspaces.
        folder::sync(&journals.join("keyspaces"))?;
        let head = match read_all(&records, load)? {
            Some(head) => head,
            None if floor.sequence() == 0 => Head {
                id: floor.id(),
                sequence: 0,
                tally: Tally::default(),
            },
            None => return Err(fewer(0, floor.sequence())),
        };
        if head.id != floor.id() {
            return Err(JournalError::damaged(
                "the journal and its side file are of two different journals".to_owned(),
            ));
        }
        if head.sequence < floor.sequence() {
            return Err(fewer(head.sequence, floor.sequence()));
        }
        let mut engine = Self {
            records,
            database,
            floor,
            head,
        };
        if engine.head.sequence == 0 {
            engine.commit_unguarded(Batch::default())?;
            engine.floor.settle()?;
        } else {
            // What a killed process wrote may not be on the disk yet, and the bound must never be
            // ahead of it. The bound itself may be too low: a sync that failed may have lost it.
            let synced = engine.database.persist(PersistMode::SyncData);
            synced.map_err(|error| JournalError::unavailable(describe(&error)))?;
            engine.floor.raise(engine.head.sequence)?;
        }
        Ok(engine)
    }

    fn commit_unguarded(&mut self, batch: Batch) -> Result<(), JournalError> {
        if self.floor.is_deleted()? {
            return Err(deleted());
        }
        let next = Head {
            id: self.head.id,
            sequence: self.head.sequence + 1,
            tally: self.head.tally.plus(batch.tally()),
        };
        let records = batch.into_records();
        let mut writes = OwnedWriteBatch::with_capacity(self.database.clone(), records.len() + 1);
        writes = writes.durability(Some(PersistMode::SyncData));
        for (key, value) in records {
            match value {
                Some(value) => writes.insert(&self.records, key, value),
                None => writes.remove(&self.records, key),
            }
        }
        writes.insert(&self.records, HEAD, next.to_bytes().as_slice());
        writes
            .commit()
            .map_err(|error| JournalError::unavailable(describe(&error)))?;
        self.head = next;
        self.floor.raise(next.sequence)
    }
}

pub(super) fn database(folder: &Path) -> Result<Database, JournalError> {
    Database::builder(folder)
        .worker_threads(1)
        .cache_size(CACHE)
        .max_journaling_size(MAX_JOURNALS)
        .open()
        .map_err(|error| opening(&error))
}

pub(super) fn keyspace(database: &Database) -> Result<Keyspace, JournalError> {
    database
        .keyspace("records", || {
            KeyspaceCreateOptions::default().max_memtable_size(MAX_MEMTABLE)
        })
        .map_err(|error| opening(&error))
}

fn read_all(
    records: &Keyspace,
    mut load: impl FnMut(&[u8], &[u8]) -> Result<(), JournalError>,
) -> Result<Option<Head>, JournalError> {
    let mut head = None;
    let mut tally = Tally::default();
    for record in records.iter() {
        let (key, value) = record.into_inner().map_err(|error| opening(&error))?;
        if *key == *HEAD {
            head = Some(
                Head::from_bytes(&value)
                    .ok_or_else(|| JournalError::damaged("its head is damaged"))?,
            );
        } else {
            tally.add(&key, &value);
            load(&key, &value)?;
        }
    }
    match head {
        Some(head) if head.tally != tally => Err(JournalError::damaged(format!(
            "{} records are not the {} that were written last",
            tally.count, head.tally.count
        ))),
        None if tally.count > 0 => Err(JournalError::damaged("its head is missing")),
        head => Ok(head),
    }
}

fn fewer(found: u64, acknowledged: u64) -> JournalError {
    JournalError::damaged(format!(
        "the journal ends at batch {found}, but batch {acknowledged} was acknowledged: it was damaged or is an older copy"
    ))
}

/// The files of an open journal were deleted. What is in memory must not go on alone.
pub(super) fn deleted() -> JournalError {
    JournalError::unavailable(
        "its folder was deleted while it was open: stop this process, and find out what was lost before you start it again",
    )
}

fn opening(error: &fjall::Error) -> JournalError {
    match error {
        fjall::Error::Io(_)
        | fjall::Error::Storage(fjall::LsmError::Io(_))
        | fjall::Error::Locked => JournalError::unavailable(describe(error)),
        _ => JournalError::damaged(describe(error)),
    }
}

pub(super) fn describe(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Io(error) => error.to_string(),
        other => format!("the engine failed: {other:?}"),
    }
}

const CACHE: u64 = 8 << 20;
const MAX_MEMTABLE: u64 = 32 << 20;
const MAX_JOURNALS: u64 = 256 << 20;
