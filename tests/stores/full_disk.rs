//! A disk that is full for a while: calls are errors, nothing is lost, and the store recovers once
//! there is space.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use tower_x402::{
    clock::Timestamp,
    replay::{Consumption, DurableStore, ReleaseReason, ReplayStore, UseId, UseRequest},
};

use crate::{ONCE, child, consume, key};

const TEST: &str = "full_disk::a_full_disk_is_an_error_for_a_while_and_loses_nothing";

#[test]
fn a_full_disk_is_an_error_for_a_while_and_loses_nothing() {
    if let Some(folder) = child::folder_of(TEST) {
        return fill_and_recover(&folder);
    }
    if let Some(said) = said_on_a_small_disk(TEST) {
        assert_eq!(said, ["recovered"], "the child must have come to its end");
    }
}

/// Runs `test` as a child whose folder is a small file system of its own, which ends with it. Returns
/// what it said, or `None` if this system allows no such file system.
pub(crate) fn said_on_a_small_disk(test: &str) -> Option<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=3m none \"$STORES_PLACE\" && exec \"$@\"";
    let ways: [&[&str]; 2] = [
        &["unshare", "--mount"],
        &["unshare", "--user", "--map-root-user", "--mount"],
    ];
    let is_possible = |way: &&[&str]| {
        let mut mount = Command::new(way[0]);
        mount
            .args(&way[1..])
            .args(["mount", "-t", "tmpfs", "none"])
            .arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success())
    };
    let Some(own_mounts) = ways.into_iter().find(is_possible) else {
        child::skip("this system lets nobody mount a small file system (`unshare --user --mount`)");
        return None;
    };
    let words = [own_mounts, &["sh", "-c", script, "sh"]].concat();
    let mut child = child::command(test, folder.path(), &words).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    let said: Vec<_> = lines
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| Some(line.strip_prefix("> ")?.to_owned()))
        .collect();
    assert!(child.wait().unwrap().success());
    Some(said)
}

fn fill_and_recover(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = DurableStore::open(folder.join("store")).unwrap();
        let given_back = UseId::random().unwrap();
        let _ = store
            .consume(UseRequest::new(
                key(u64::MAX),
                given_back,
                ONCE,
                Timestamp::MAX,
            ))
            .await
            .unwrap();
        let ballast = folder.join("ballast");
        fill(&ballast);

        let mut acknowledged = Vec::new();
        let mut errors = 0;
        for number in 0.. {
            match consume(&store, key(number)).await {
                Ok(answer) => {
                    assert_ne!(answer, Consumption::Spent);
                    acknowledged.push(number);
                }
                Err(_) => errors += 1,
            }
            if errors == 1 {
                store.release(key(u64::MAX), given_back, ReleaseReason::NotServed);
            }
            if errors == 50 {
                break;
            }
        }
        assert!(store.ready().await.is_err(), "the disk is full");
        insist(&store).await;
        // Long enough for attempts that fail.
        let fails_until = Instant::now() + Duration::from_millis(1_500);
        while Instant::now() < fails_until {
            assert!(
                consume(&store, key(u64::MAX - 1)).await.is_err(),
                "the disk is full"
            );
        }

        std::fs::remove_file(&ballast).unwrap();
        let given_up = Instant::now() + Duration::from_secs(10);
        while consume(&store, key(u64::MAX - 2)).await.is_err() {
            assert!(
                Instant::now() < given_up,
                "there is space again, but calls still fail"
            );
        }
        store.ready().await.unwrap();
        assert_ne!(
            consume(&store, key(u64::MAX)).await.unwrap(),
            Consumption::Spent,
            "the release must be kept"
        );
        all_are_spent(&store, &acknowledged).await;
        drop(store);
        all_are_spent(
            &DurableStore::open(folder.join("store")).unwrap(),
            &acknowledged,
        )
        .await;
        assert!(!acknowledged.is_empty());
        child::say("recovered");
    });
}

/// Presents one spent payment again and again, and releases each use that was refused.
async fn insist(store: &DurableStore) {
    let before = resident_bytes();
    for _ in 0..600_000 {
        let id = UseId::random().unwrap();
        assert!(
            store
                .consume(UseRequest::new(key(0), id, ONCE, Timestamp::MAX))
                .await
                .is_err(),
            "the disk is full"
        );
        store.release(key(0), id, ReleaseReason::NotServed);
    }
    let grown = resident_bytes().saturating_sub(before) >> 20;
    assert!(
        grown < 36,
        "600,000 presentations of a spent payment cost {grown} MiB"
    );
}

/// Returns how much memory this process takes, or 0 if the system does not say.
pub(crate) fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    pages
        .and_then(|pages| pages.split(' ').nth(1)?.parse::<usize>().ok())
        .unwrap_or(0)
        * 4096
}

async fn all_are_spent(store: &DurableStore, acknowledged: &[u64]) {
    for number in acknowledged {
        assert_eq!(
            consume(store, key(*number)).await.unwrap(),
            Consumption::Spent,
            "payment {number} was forgotten"
        );
    }
}

/// Fills the disk, except for a few hundred payments.
pub(crate) fn fill(ballast: &Path) {
    let mut file = std::fs::File::create(ballast).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
    file.set_len(file.metadata().unwrap().len() - 64 * 1024)
        .unwrap();
}
