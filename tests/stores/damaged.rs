//! Folders that were changed behind the store's back. It opens with all that it acknowledged, or
//! not at all.

use std::{fs, path::Path};

use tower_x402::{
    clock::Timestamp,
    replay::{
        Consumption, DurableStore, ReplayStore, StoreErrorKind, UseId, UseLimits, UseRequest,
    },
};

use crate::{consume, key};

const KEYS: u64 = 100;

#[test]
fn a_byte_that_changed_is_found_or_harmless() {
    let (original, copies) = (filled(), tempfile::tempdir().unwrap());
    let length = journal_length(original.path());
    let mut refused = 0;
    let step = (length / 150).max(1);
    for (number, at) in (0..length).step_by(step).enumerate() {
        let copy = copies.path().join(number.to_string());
        copy_folder(original.path(), &copy);
        change(&journal(&copy), |bytes| bytes[at] ^= 1 << (number % 8));
        refused += u32::from(!opens_whole(&copy, &format!("byte {at} of {length}")));
        fs::remove_dir_all(&copy).unwrap();
    }
    assert!(refused > 50, "only {refused} of 150 changes were found");
}

/// The engine's checksums do not cover the number that says which of two batches is the later one.
#[test]
fn a_batch_that_was_made_to_look_older_than_what_it_replaced_is_refused() {
    let (original, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    spend(original.path(), 0..20, 2);
    spend(original.path(), 0..20, 2);
    journal_length(original.path());
    let bytes = fs::read(journal(original.path())).unwrap();
    // tag 1; three records: the payment, its earlier use, the head; sequence number
    let starts: Vec<usize> = (0..bytes.len() - 13)
        .filter(|at| bytes[*at..].starts_with(&[1, 3, 0, 0, 0]) && bytes[at + 6..at + 13] == [0; 7])
        .collect();
    assert!(starts.len() >= 20, "found {} batches", starts.len());
    for (number, at) in starts.iter().rev().skip(2).step_by(3).take(5).enumerate() {
        let copy = copies.path().join(number.to_string());
        copy_folder(original.path(), &copy);
        change(&journal(&copy), |bytes| bytes[at + 5] = 1);
        refused(&copy, "are not the");
    }
}

#[test]
fn a_journal_that_was_cut_is_refused() {
    let (original, copies) = (filled(), tempfile::tempdir().unwrap());
    let length = journal_length(original.path());
    for number in 0..30 {
        let copy = copies.path().join(number.to_string());
        copy_folder(original.path(), &copy);
        change(&journal(&copy), |bytes| {
            bytes.truncate(length * number / 30)
        });
        assert!(
            !opens_whole(&copy, &format!("cut to {number}/30")),
            "cut to {number}/30 it opened"
        );
        assert!(
            !opens_whole(&copy, "a second time"),
            "a second try must not start either"
        );
    }
}

#[test]
fn an_older_journal_or_another_stores_side_file_is_refused() {
    let (original, copies) = (filled(), tempfile::tempdir().unwrap());
    let old = copies.path().join("old");
    copy_folder(original.path(), &old);
    spend(original.path(), KEYS..2 * KEYS, 1);
    fs::remove_dir_all(original.path().join("journal")).unwrap();
    copy_folder(&old.join("journal"), &original.path().join("journal"));
    refused(original.path(), "ends at batch");

    let other = filled();
    fs::copy(old.join("floor"), other.path().join("floor")).unwrap();
    refused(other.path(), "two different journals");
    fs::remove_file(other.path().join("floor")).unwrap();
    refused(other.path(), "floor is missing or empty");
    fs::remove_dir_all(old.join("journal")).unwrap();
    refused(&old, "ends at batch 0");
}

#[test]
fn tables_that_changed_are_refused() {
    let original = filled();
    let tables = original.path().join("journal/keyspaces");
    let mut found = 0;
    for file in files(&tables) {
        let copies = tempfile::tempdir().unwrap();
        let copy = copies.path().join("copy");
        copy_folder(original.path(), &copy);
        let file = copy.join(file.strip_prefix(original.path()).unwrap());
        change(&file, |bytes| {
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 0x20;
            }
        });
        found += u32::from(!opens_whole(&copy, &file.display().to_string()));
    }
    assert!(found > 0, "no change of {} was found", tables.display());
}

fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    spend(folder.path(), 0..KEYS, 1);
    folder
}

/// Takes one use of each payment, which is good for so many.
fn spend(folder: &Path, keys: std::ops::Range<u64>, uses: u32) {
    let limits = UseLimits::new(uses.try_into().unwrap(), 0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let store = DurableStore::open(folder).unwrap();
    for number in keys {
        let answer = store.consume(UseRequest::new(
            key(number),
            UseId::random().unwrap(),
            limits,
            Timestamp::MAX,
        ));
        assert_ne!(runtime.block_on(answer).unwrap(), Consumption::Spent);
    }
}

/// Returns whether the store opened, with everything that was acknowledged. If it did not, it must
/// have said that it is damaged.
#[track_caller]
fn opens_whole(folder: &Path, what: &str) -> bool {
    let store = match DurableStore::open(folder) {
        Ok(store) => store,
        Err(error) => {
            assert!(
                matches!(
                    error.kind(),
                    StoreErrorKind::Corrupt | StoreErrorKind::Unavailable
                ),
                "{what}: {error}"
            );
            return false;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for number in 0..KEYS {
        let answer = runtime.block_on(consume(&store, key(number))).unwrap();
        assert_eq!(
            answer,
            Consumption::Spent,
            "{what}: payment {number} was forgotten"
        );
    }
    true
}

#[track_caller]
fn refused(folder: &Path, why: &str) {
    let error = DurableStore::open(folder).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(error.to_string().contains(why), "{error}");
    assert!(
        error.to_string().contains("open an empty one instead"),
        "{error}"
    );
}

fn journal(folder: &Path) -> std::path::PathBuf {
    folder.join("journal/0.jnl")
}

/// Returns the file without the zeros that it was created with.
fn journal_length(folder: &Path) -> usize {
    let bytes = fs::read(journal(folder)).unwrap();
    let length = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    change(&journal(folder), |bytes| bytes.truncate(length));
    length
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
