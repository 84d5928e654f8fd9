//! A loss of power at any moment: what was answered before is kept, and no payment is granted more
//! than its uses.
//!
//! A child works on a store while `strace` records each call that changes a file, and each answer
//! between them. From that the test builds the folder as a disk may hold it after a loss of power
//! (see [`disk`]), and opens the store on it, at thousands of moments. `X402_SEED` chooses other
//! moments.

mod dice;
mod disk;
mod ledger;
mod replay;
mod trace;
mod work;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tower_x402::replay::{DurableStore, StoreErrorKind};

use self::{
    dice::Dice,
    disk::{Disk, Fate},
    ledger::Ledger,
    replay::Replay,
    trace::Moment,
};
use crate::child;

const TEST: &str = "power_loss::what_was_answered_outlives_a_loss_of_power";
const OLD: &str = "power_loss::a_journal_of_more_than_a_second_before_the_loss_of_power_is_refused";
const UNSYNCED: &str = "power_loss::a_journal_that_cannot_be_synced_is_not_opened";

/// The path of the store in the folder that loses power. The store creates it with its parents.
const STORE: &str = "made/with/it";

#[test]
fn what_was_answered_outlives_a_loss_of_power() {
    if let Some(folder) = child::folder_of(TEST) {
        return work::work(&folder.join(STORE), life(), 150, Duration::ZERO);
    }
    let Some(mut scene) = Scene::new(TEST) else {
        return;
    };
    let mut cuts = 0;
    for life in 0..LIVES {
        let (first, step) = (5 + scene.dice.below(9), 9 + scene.dice.below(9));
        let syncs = format!("fdatasync:error=EIO:when={first}..70+{step}");
        // The engine tries a failed write two times more.
        let writes = format!("write:error=ENOSPC:when={}..{}", 9 * step, 9 * step + 2);
        let faults = match life {
            0 | 1 => vec![],
            2 => vec![syncs],
            3 => vec![writes],
            _ => vec![syncs, writes],
        };
        cuts += scene.live(life, &faults);
    }
    assert!(cuts > 1_000, "only {cuts} losses of power");
    eprintln!("{cuts} losses of power; X402_SEED={}", scene.seed);
}

/// The side file is for disks that lose what they reported as safe. Its own sync may be a second
/// late, except when the store is closed.
#[test]
fn a_journal_of_more_than_a_second_before_the_loss_of_power_is_refused() {
    if let Some(folder) = child::folder_of(OLD) {
        return work::work(&folder.join(STORE), life(), 50, Duration::from_secs(1));
    }
    let Some(mut scene) = Scene::new(OLD) else {
        return;
    };
    let disk = Disk::holding(&scene.root, Dice::new(scene.seed));
    let mut replay = Replay::new(&scene.root, disk);
    let (mut older, mut early) = (Vec::new(), 0);
    for moment in scene.record(0, &[]) {
        for line in replay.step(&moment) {
            scene.ledger.hear(&line);
            match line.split(' ').next().unwrap() {
                // A batch follows each.
                "put" => {
                    let copy = scene.place.path().join(older.len().to_string());
                    replay.disk.leave(&copy, Fate::Gone, &mut scene.dice);
                    older.push(copy);
                }
                "early" => early = older.len(),
                "late" => scene.refuses(&replay.disk, &older[..early], &line),
                "ended" => scene.refuses(&replay.disk, &older, &line),
                _ => {}
            }
        }
    }
}

/// A bound that is ahead of its journal would refuse it after the loss of power.
#[test]
fn a_journal_that_cannot_be_synced_is_not_opened() {
    if let Some(folder) = child::folder_of(UNSYNCED) {
        let opened = DurableStore::open_with(folder.join(STORE), work::options());
        return child::say(format_args!(
            "{:?}",
            opened.map_err(|error| error.kind()).err()
        ));
    }
    let Some(scene) = Scene::new(UNSYNCED) else {
        return;
    };
    let store = scene.root.join(STORE);
    drop(DurableStore::open_with(&store, work::options()).unwrap());
    let expected = [
        ("fdatasync:error=EIO:when=1", "\n> Some(Unavailable)\n"),
        ("fdatasync:error=EIO:when=1000", "\n> None\n"),
    ];
    for (fault, said) in expected {
        let words = trace::words(&scene.place.path().join("trace"), &[fault.to_owned()]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut child = child::command(UNSYNCED, &scene.root, &words);
        let output = String::from_utf8(child.output().unwrap().stdout).unwrap();
        assert!(output.contains(said), "{fault}: {output}");
    }
}

const LIVES: u64 = 5;
/// About how many losses of power a life has.
const CUTS: usize = 450;

/// The store as it is after some losses of power.
struct Scene {
    test: &'static str,
    seed: u64,
    dice: Dice,
    ledger: Ledger,
    place: tempfile::TempDir,
    root: PathBuf,
}

impl Scene {
    /// Returns `None` if no process can be traced here, and this is allowed.
    fn new(test: &'static str) -> Option<Self> {
        let traced = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "true"])
            .output();
        if !traced.is_ok_and(|output| output.status.success()) {
            child::skip("`strace` is not there, or may not trace");
            return None;
        }
        let seed = std::env::var("X402_SEED").map_or(402, |seed| seed.parse().unwrap());
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        }
        .unwrap();
        let root = place.path().canonicalize().unwrap().join("root");
        fs::create_dir(&root).unwrap();
        Some(Self {
            test,
            seed,
            dice: Dice::new(seed),
            ledger: Ledger::default(),
            place,
            root,
        })
    }

    /// Lets a child work, loses power at many moments of its work, and continues from one of them.
    fn live(&mut self, life: u64, faults: &[String]) -> usize {
        let disk = Disk::holding(&self.root, Dice::new(self.dice.next()));
        let moments = self.record(life, faults);
        let chances = 3 * moments.iter().filter(|moment| moment.changes()).count();
        let goes_on = moments.len() / 2 + self.dice.below(moments.len() / 2);
        let next = self.root.with_extension(life.to_string());
        let mut replay = Replay::new(&self.root, disk);
        let (mut after, mut cuts) = (None, 0);
        for (number, moment) in moments.iter().enumerate() {
            let said = replay.step(moment);
            said.iter().for_each(|line| self.ledger.hear(line));
            for _ in 0..if moment.changes() { 3 } else { said.len() } {
                let fate = [Fate::Gone, Fate::Kept, Fate::Torn, Fate::Torn][self.dice.below(4)];
                if self.dice.below(chances) < CUTS {
                    self.cut(
                        &replay.disk,
                        fate,
                        &format!("life {life}, moment {number}, {fate:?}"),
                    );
                    cuts += 1;
                }
            }
            if number == goes_on {
                replay.disk.leave(&next, Fate::Torn, &mut self.dice);
                after = Some(self.ledger.clone());
            }
        }
        assert!(
            self.ledger.granted() > 100,
            "only {} uses were granted",
            self.ledger.granted()
        );
        let failed = moments.iter().any(Moment::is_fault);
        assert_eq!(failed, !faults.is_empty(), "{faults:?}");
        self.ledger = after.unwrap();
        self.ledger.end_life();
        self.root = next;
        cuts
    }

    /// What a child does.
    fn record(&self, life: u64, faults: &[String]) -> Vec<Moment> {
        let trace = self.place.path().join("trace");
        let words = trace::words(&trace, faults);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = child::command(self.test, &self.root, &words)
            .env("STORES_LIFE", life.to_string())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        trace::read(&fs::read(trace).unwrap())
    }

    /// Loses the power, and checks what is left.
    fn cut(&mut self, disk: &Disk, fate: Fate, when: &str) {
        let left = self.place.path().join("left");
        disk.leave(&left, fate, &mut self.dice);
        if let Err(what) = self.ledger.check(&left.join(STORE), &mut self.dice) {
            panic!("{what} ({when}, X402_SEED={})", self.seed);
        }
        fs::remove_dir_all(left).unwrap();
    }

    /// Loses the power and puts an older journal in place.
    fn refuses(&mut self, disk: &Disk, older: &[PathBuf], when: &str) {
        self.cut(disk, Fate::Gone, when);
        assert!(!older.is_empty());
        for older in older.iter().rev().step_by(1 + older.len() / 20) {
            let left = self.place.path().join("left");
            disk.leave(&left, Fate::Gone, &mut self.dice);
            let journal = Path::new(STORE).join("journal/0.jnl");
            fs::copy(older.join(&journal), left.join(journal)).unwrap();
            let opened = DurableStore::open_with(left.join(STORE), work::options());
            let kind = opened.map_err(|error| error.kind()).map(drop);
            assert_eq!(
                kind,
                Err(StoreErrorKind::Corrupt),
                "{when}: the journal in {} was taken",
                older.display()
            );
            fs::remove_dir_all(left).unwrap();
        }
    }
}

fn life() -> u64 {
    std::env::var("STORES_LIFE").unwrap().parse().unwrap()
}
