use tower_x402::replay::{Consumption, DurableStore, StoreErrorKind};

use crate::{GRANTED, consume, damaged::copy_folder, key, one_use::give_back};

#[test]
fn one_store_at_a_time_has_a_folder_open() {
    let folder = tempfile::tempdir().unwrap();
    let first = DurableStore::open(folder.path()).unwrap();
    let error = DurableStore::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(
        error
            .to_string()
            .contains("is open already, and one process may use it at a time"),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains(&folder.path().display().to_string()),
        "{error}"
    );
    drop(first);
    DurableStore::open(folder.path()).unwrap();
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_what_it_makes() {
    use std::os::unix::fs::PermissionsExt;

    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("store");
    let _store = DurableStore::open(&folder).unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for (name, expected) in [
        ("", 0o700),
        ("journal", 0o700),
        ("floor", 0o600),
        ("lock", 0o600),
    ] {
        assert_eq!(mode(&folder.join(name)), expected, "{name}");
    }
}

#[tokio::test]
async fn a_store_that_is_dropped_has_ended_its_thread_and_written_all() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..20 {
        let store = DurableStore::open(folder.path()).unwrap();
        assert_ne!(
            consume(&store, key(number)).await.unwrap(),
            Consumption::Spent
        );
        drop(store);
    }
    let store = DurableStore::open(folder.path()).unwrap();
    for number in 0..20 {
        assert_eq!(
            consume(&store, key(number)).await.unwrap(),
            Consumption::Spent
        );
    }
}

#[tokio::test]
async fn a_folder_whose_making_was_cut_short_becomes_a_new_store() {
    for begun in [&[][..], &[0x2a; 10], &[0; 80]] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("floor"), begun).unwrap();
        let store =
            DurableStore::open(folder.path()).unwrap_or_else(|error| panic!("{begun:?}: {error}"));
        assert_ne!(consume(&store, key(1)).await.unwrap(), Consumption::Spent);
        drop(store);
        let store = DurableStore::open(folder.path()).unwrap();
        assert_eq!(consume(&store, key(1)).await.unwrap(), Consumption::Spent);
        drop(store);
        std::fs::write(folder.path().join("floor"), begun).unwrap();
        assert_eq!(
            DurableStore::open(folder.path()).unwrap_err().kind(),
            StoreErrorKind::Corrupt,
            "beside a journal"
        );
        std::fs::remove_dir_all(folder.path().join("journal")).unwrap();
        std::fs::write(folder.path().join("floor"), [0x2a; 80]).unwrap();
        assert_eq!(
            DurableStore::open(folder.path()).unwrap_err().kind(),
            StoreErrorKind::Corrupt,
            "whole, but damaged"
        );
    }
}

#[tokio::test]
async fn what_was_given_back_is_written_once_the_store_is_flushed() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = DurableStore::open(folder.path()).unwrap();
    give_back(&store, 0..1_000).await;
    // What a process that is killed now leaves behind.
    copy_folder(folder.path(), copy.path());
    let store = DurableStore::open(copy.path()).unwrap();
    for number in (0..1_000).rev().step_by(37) {
        assert_eq!(consume(&store, key(number)).await.unwrap(), GRANTED);
    }
}
