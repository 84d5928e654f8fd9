//! What the side file says of a journal, and what is made of a folder that is not as it was left.

use std::{fs, path::Path};

use super::{Batch, JournalErrorKind, engine::Engine, floor::Floor};

const ID: [u8; 16] = [7; 16];
const SLOT: usize = 40;

fn open(folder: &Path) -> Result<(Engine, usize), super::JournalError> {
    let mut loaded = 0;
    let engine = Engine::open(folder, ID, |_, _| {
        loaded += 1;
        Ok(())
    })?;
    Ok((engine, loaded))
}

fn commit(engine: &mut Engine, key: u8) {
    let mut batch = Batch::default();
    batch.change(&[key], None, Some(b"value"));
    engine.commit(batch).unwrap();
}

pub(super) fn bound(path: &Path) -> u64 {
    Floor::open(path).unwrap().unwrap().sequence()
}

/// Changes one byte of a slot.
fn damage(path: &Path, slot: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[slot * SLOT + 20] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn each_batch_raises_the_bound_by_one_in_the_slot_that_is_older() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("floor");
    let (mut engine, _) = open(folder.path()).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(
        bytes[..SLOT],
        bytes[SLOT..],
        "a new journal has its bound in both slots"
    );
    assert_eq!(bound(&path), 1);
    for sequence in 2..6 {
        commit(&mut engine, sequence as u8);
        assert_eq!(bound(&path), sequence);
        let whole = fs::read(&path).unwrap();
        damage(&path, sequence as usize % 2);
        assert_eq!(
            bound(&path),
            sequence - 1,
            "the write of this batch was torn"
        );
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_new_side_file_says_in_both_slots_that_nothing_was_reached() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("floor");
    let floor = Floor::create(&path, ID).unwrap();
    assert_eq!((floor.sequence(), floor.is_unsynced()), (0, false));
    let bytes = fs::read(&path).unwrap();
    assert_eq!((bytes.len(), &bytes[..SLOT]), (2 * SLOT, &bytes[SLOT..]));
    fs::write(&path, &bytes[..SLOT]).unwrap();
    assert_eq!(bound(&path), 0, "its making ended after the first slot");
}

#[test]
fn no_damaged_slot_makes_the_first_batch_one_that_never_was() {
    for slot in [0, 1] {
        let folder = tempfile::tempdir().unwrap();
        let (mut engine, _) = open(folder.path()).unwrap();
        commit(&mut engine, b'a');
        drop(engine);
        damage(&folder.path().join("floor"), slot);
        assert_eq!(open(folder.path()).unwrap().1, 1, "slot {slot}");
    }
}

#[test]
fn what_was_begun_and_never_acknowledged_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    drop(Floor::create(&folder.path().join("floor"), [8; 16]).unwrap());
    fs::create_dir(folder.path().join("journal")).unwrap();
    fs::write(folder.path().join("journal/version"), b"half").unwrap();
    let (engine, loaded) = open(folder.path()).unwrap();
    assert_eq!((engine.id(), loaded), ([8; 16], 0));
}

#[test]
fn a_file_that_cannot_be_read_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let floor = folder.path().join("floor");
    fs::rename(&floor, folder.path().join("elsewhere")).unwrap();
    fs::create_dir(&floor).unwrap();
    assert_eq!(
        open(folder.path()).map(drop).unwrap_err().kind(),
        JournalErrorKind::Unavailable
    );
    fs::remove_dir(&floor).unwrap();
    assert_eq!(
        open(folder.path()).map(drop).unwrap_err().kind(),
        JournalErrorKind::Corrupt
    );
    fs::rename(folder.path().join("elsewhere"), &floor).unwrap();
    assert!(open(folder.path()).is_ok());
}

#[test]
fn a_bound_waits_for_its_sync_and_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let mut floor = Floor::create(&folder.path().join("floor"), ID).unwrap();
    assert!(!floor.is_unsynced());
    floor.raise(1).unwrap();
    assert!(floor.is_unsynced());
    floor.sync().unwrap();
    assert!(!floor.is_unsynced());
    floor.settle().unwrap();
    assert_eq!((floor.is_unsynced(), floor.sequence()), (false, 1));
    assert!(
        !Floor::open(&folder.path().join("floor"))
            .unwrap()
            .unwrap()
            .is_unsynced()
    );
}

#[cfg(feature = "conformance")]
#[test]
fn a_journal_without_its_head_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut floor = Floor::create(&folder.path().join("floor"), ID).unwrap();
    floor.raise(1).unwrap();
    let mut raw = super::RawEngine::create(&folder.path().join("journal")).unwrap();
    raw.write(&[(b"key".to_vec(), b"value".to_vec())]).unwrap();
    drop(raw);
    let error = open(folder.path()).map(drop).unwrap_err();
    assert_eq!(error.kind(), JournalErrorKind::Corrupt);
    assert!(error.to_string().contains("its head is missing"), "{error}");
}

#[test]
fn a_file_of_the_engine_that_cannot_be_read_is_no_damage_and_said() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let version = folder.path().join("journal/version");
    fs::remove_file(&version).unwrap();
    fs::create_dir(&version).unwrap();
    let error = open(folder.path()).map(drop).unwrap_err();
    assert_eq!(error.kind(), JournalErrorKind::Unavailable, "{error}");
    assert_eq!(
        error.to_string(),
        fs::read(&version).unwrap_err().to_string()
    );
}
