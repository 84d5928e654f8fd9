//! The side file: a lower bound of what the journal acknowledged.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use super::{JournalError, batch::digest, folder};

/// The side file: the id of the journal, and a batch number that its disk must at least have
/// reached (the bound).
///
/// Two slots are written in turn, so that a torn write leaves the one before it.
#[derive(Debug)]
pub(super) struct Floor {
    file: File,
    id: [u8; 16],
    sequence: u64,
    unsynced: bool,
}

impl Floor {
    /// Opens the side file. Returns `None` if there is none, or one that was not completed.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, JournalError> {
        let mut file = match File::options().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        (&mut file).take(2 * SLOT as u64).read_to_end(&mut bytes)?;
        if bytes.len() < SLOT || bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let (id, sequence) = bytes
            .chunks(SLOT)
            .filter_map(read_slot)
            .max_by_key(|(_, sequence)| *sequence)
            .ok_or_else(|| JournalError::damaged(format!("{} is damaged", path.display())))?;
        Ok(Some(Self {
            file,
            id,
            sequence,
            unsynced: false,
        }))
    }

    /// Creates the side file of a new journal.
    pub(super) fn create(path: &Path, id: [u8; 16]) -> Result<Self, JournalError> {
        let mut floor = Self {
            file: folder::empty_file(path)?,
            id,
            sequence: 0,
            unsynced: false,
        };
        floor.raise(0)?;
        floor.settle()?;
        folder::sync_parent(path)?;
        Ok(floor)
    }

    pub(super) const fn id(&self) -> [u8; 16] {
        self.id
    }

    pub(super) const fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(super) const fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    /// Returns whether the file was deleted while it was open.
    pub(super) fn is_deleted(&self) -> Result<bool, JournalError> {
        #[cfg(unix)]
        return Ok(std::os::unix::fs::MetadataExt::nlink(&self.file.metadata()?) == 0);
        #[cfg(not(unix))]
        return Ok(false);
    }

    /// Raises the bound to `sequence`, without a sync. A process that is killed loses nothing of
    /// it.
    pub(super) fn raise(&mut self, sequence: u64) -> Result<(), JournalError> {
        self.write_slot(sequence % 2, sequence)?;
        self.sequence = sequence;
        Ok(())
    }

    /// Writes the bound into both slots, so that not even damage brings back an older bound.
    pub(super) fn settle(&mut self) -> Result<(), JournalError> {
        self.write_slot((self.sequence + 1) % 2, self.sequence)?;
        self.sync()
    }

    /// Makes the bound safe from a loss of power.
    pub(super) fn sync(&mut self) -> Result<(), JournalError> {
        if self.unsynced {
            self.file.sync_data()?;
            self.unsynced = false;
        }
        Ok(())
    }

    fn write_slot(&mut self, slot: u64, sequence: u64) -> Result<(), JournalError> {
        let mut bytes = [0; SLOT];
        bytes[..16].copy_from_slice(&self.id);
        bytes[16..24].copy_from_slice(&sequence.to_le_bytes());
        let check = digest(MAGIC, &bytes[..24]);
        bytes[24..].copy_from_slice(&check.to_le_bytes());
        self.file.seek(SeekFrom::Start(slot * SLOT as u64))?;
        self.unsynced = true;
        self.file.write_all(&bytes)?;
        Ok(())
    }
}

fn read_slot(bytes: &[u8]) -> Option<([u8; 16], u64)> {
    let (body, check) = bytes.split_at_checked(24)?;
    let check = u128::from_le_bytes(check.try_into().ok()?);
    let (id, sequence) = body.split_first_chunk::<16>()?;
    (digest(MAGIC, body) == check).then_some((*id, u64::from_le_bytes(sequence.try_into().ok()?)))
}

const SLOT: usize = 40;
const MAGIC: &[u8] = b"tower-x402 floor 1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_slot_leaves_the_bound_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("floor");
        let mut floor = Floor::create(&path, [7; 16]).unwrap();
        floor.raise(1).unwrap();
        floor.raise(2).unwrap();
        drop(floor);
        let mut bytes = std::fs::read(&path).unwrap();
        for at in 0..SLOT {
            bytes[at] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            let floor = Floor::open(&path).unwrap().unwrap();
            assert_eq!((floor.id(), floor.sequence()), ([7; 16], 1));
            bytes[at] ^= 0x10;
        }
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Floor::open(&path).unwrap().unwrap().sequence(), 2);
        std::fs::write(&path, [b'x'; 2 * SLOT]).unwrap();
        assert!(Floor::open(&path).is_err());
    }
}
