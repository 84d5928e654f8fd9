//! What was done to the processes and the store, and when.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use crate::{book::Broken, store::Fault};

/// A process that lives so long beside a store that is up has carried out its releases.
const RELEASED: Duration = Duration::from_secs(10);

/// How long a process may still take requests after it was noted that it is killed.
const DYING: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Past>);

#[derive(Debug, Default)]
struct Past {
    killed: HashMap<u64, Instant>,
    killed_while_starting: usize,
    outages: Vec<(Instant, Option<Instant>)>,
    faults: BTreeMap<String, usize>,
    /// Processes that gave no answer in time, though they were not killed.
    silent: Vec<u64>,
    /// Processes that ended though nobody killed them.
    ended: Vec<String>,
}

impl History {
    pub(crate) fn kill(&self, process: u64, was_serving: bool) {
        let mut past = self.past();
        past.killed.insert(process, Instant::now());
        past.killed_while_starting += usize::from(!was_serving);
    }

    pub(crate) fn end(&self, why: String) {
        self.past().ended.push(why);
    }

    /// Notes that a process gave no answer in time.
    pub(crate) fn silent(&self, process: u64) {
        let mut past = self.past();
        let killed = past.killed.get(&process).map(Instant::elapsed);
        eprintln!("process {process} gives no answer (killed before: {killed:?})");
        if !past.killed.contains_key(&process) {
            past.silent.push(process);
        }
    }

    pub(crate) fn break_down(&self, fault: Fault) {
        let mut past = self.past();
        past.outages.push((Instant::now(), None));
        *past
            .faults
            .entry(format!("{fault:?}").to_lowercase())
            .or_default() += 1;
    }

    pub(crate) fn mend(&self) {
        if let Some((_, end)) = self.past().outages.last_mut() {
            *end = Some(Instant::now());
        }
    }

    /// Returns whether a request was under way when its process was killed.
    pub(crate) fn was_killed_over(&self, broken: Broken) -> bool {
        let killed = self.past().killed.get(&broken.process).copied();
        killed.is_some_and(|killed| killed <= broken.at && broken.sent <= killed + DYING)
    }

    /// Returns whether a process that answered 5xx at this time was killed before it can have given
    /// back the use that it took.
    pub(crate) fn was_killed_before_release(&self, process: u64, at: Instant) -> bool {
        let past = self.past();
        let Some(killed) = past.killed.get(&process) else {
            return false;
        };
        // How long the store was up without a break, between the answer and the death.
        let mut up_since = at;
        for (down, up) in &past.outages {
            let up = up.unwrap_or(*killed);
            if up <= at || *down >= *killed {
                continue;
            }
            if down.saturating_duration_since(up_since) >= RELEASED {
                return false;
            }
            up_since = up;
        }
        killed.saturating_duration_since(up_since) < RELEASED
    }

    /// Returns how many requests got no answer though nobody killed the process.
    pub(crate) fn unanswered(&self) -> usize {
        self.past().silent.len()
    }

    pub(crate) fn ended(&self) -> Vec<String> {
        self.past().ended.clone()
    }

    /// Returns what was killed and broken, in words.
    pub(crate) fn in_words(&self) -> String {
        let past = self.past();
        let faults: Vec<_> = past
            .faults
            .iter()
            .map(|(fault, times)| format!("{fault} {times}"))
            .collect();
        format!(
            "{} processes killed ({} while they started); store broken {} times ({})",
            past.killed.len(),
            past.killed_while_starting,
            past.outages.len(),
            faults.join(", ")
        )
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.0.lock().unwrap()
    }
}

#[test]
fn only_a_process_that_died_soon_may_keep_a_use() {
    let history = History::default();
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    {
        let mut past = history.past();
        past.outages = vec![(at(5), Some(at(8))), (at(30), Some(at(31)))];
        past.killed = [(1, at(9)), (2, at(25)), (3, at(35))].into();
    }
    assert!(history.was_killed_before_release(1, at(6)));
    assert!(!history.was_killed_before_release(2, at(6)));
    assert!(history.was_killed_before_release(2, at(16)));
    assert!(!history.was_killed_before_release(3, at(6)));
    assert!(history.was_killed_before_release(3, at(29)));
    assert!(!history.was_killed_before_release(4, at(6)));
}

#[test]
fn only_a_request_that_was_under_way_when_its_process_died_may_keep_a_use() {
    let history = History::default();
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    history.past().killed = [(1, at(9))].into();
    for (process, sent, broken, may) in [
        (1, 8, 9, true),
        (1, 3, 20, true),
        // It broke, and the process lived on.
        (1, 7, 8, false),
        (1, 11, 12, false),
        (2, 8, 9, false),
    ] {
        let request = Broken {
            process,
            sent: at(sent),
            at: at(broken),
        };
        assert_eq!(history.was_killed_over(request), may, "{request:?}");
    }
}
