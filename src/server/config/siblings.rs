//! Paywalls of one process whose credentials open one another. That is right for replicas of one
//! service and wrong for two services, which shows in what they sell.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use super::Charge;
use crate::{dialect::keys::KeyRing, payment::Access, trace};

/// The paywalls that are alive, but for those beyond [`MOST_PAYWALLS`].
static LIVE: Mutex<Vec<Weak<Sold>>> = Mutex::new(Vec::new());

const MOST_PAYWALLS: usize = 1_024;

/// With more rules than this a paywall is not compared.
const MOST_RULES: usize = 4_096;

/// What one paywall sells, and under which keys.
#[derive(Debug)]
pub(in crate::server) struct Sold {
    keys: Arc<KeyRing>,
    rules: Mutex<SoldRules>,
    /// It was compared with the others since its last rule.
    compared: AtomicBool,
    /// It was logged that it differs from another.
    warned: AtomicBool,
}

/// Hashes of the rules whose uses a store counts, and of those that only time ends.
type SoldRules = [BTreeSet<u64>; 2];

/// A rule as far as two services may differ in it.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct SoldRule {
    is_timed: bool,
    hash: u64,
}

impl SoldRule {
    /// `place` is the rule's text in a table, and empty for a layer that charges for whatever
    /// comes. All price functions are taken for one.
    pub(in crate::server) fn new(place: &str, charge: &Charge) -> Self {
        let mut hasher = DefaultHasher::new();
        let bound = (
            &charge.bound_headers,
            &charge.read_headers,
            charge.reads_body,
        );
        (
            place,
            format!("{:?} {:?}", charge.price, charge.access()),
            bound,
        )
            .hash(&mut hasher);
        Self {
            is_timed: matches!(charge.access(), Access::ForDuration(_)),
            hash: hasher.finish(),
        }
    }
}

impl Sold {
    /// Of a new paywall, which sells nothing yet.
    pub(in crate::server) fn enrol(keys: Arc<KeyRing>) -> Arc<Self> {
        let (rules, compared, warned) = (
            Mutex::default(),
            AtomicBool::new(false),
            AtomicBool::new(false),
        );
        let sold = Arc::new(Self {
            keys,
            rules,
            compared,
            warned,
        });
        let mut live = lock(&LIVE);
        live.retain(|other| other.strong_count() > 0);
        if live.len() < MOST_PAYWALLS {
            live.push(Arc::downgrade(&sold));
        }
        sold
    }

    /// A layer with these rules was made.
    pub(in crate::server) fn add(&self, rules: impl IntoIterator<Item = SoldRule>) {
        let mut own = lock(&self.rules);
        for rule in rules {
            let own = &mut own[usize::from(rule.is_timed)];
            if own.len() < MOST_RULES {
                own.insert(rule.hash);
            }
        }
        drop(own);
        self.compared.store(false, Ordering::Relaxed);
        self.compare(false);
    }

    /// Compares with all others at the first request for an invoice, when all layers are likely to
    /// have been made.
    pub(in crate::server) fn compare_once(&self) {
        if !self.compared.load(Ordering::Relaxed) && !self.compared.swap(true, Ordering::Relaxed) {
            self.compare(true);
        }
    }

    fn compare(&self, is_complete: bool) {
        if self.warned.load(Ordering::Relaxed) {
            return;
        }
        let own = lock(&self.rules).clone();
        let others: Vec<Arc<Self>> = lock(&LIVE).iter().filter_map(Weak::upgrade).collect();
        let is_other_service = |other: &&Arc<Self>| {
            let theirs = lock(&other.rules).clone();
            let common = self.keys.in_common(&other.keys);
            !std::ptr::eq(&***other, self)
                && (0..2).any(|kind| common[kind] && differ(&own[kind], &theirs[kind], is_complete))
        };
        let Some(other) = others.iter().find(is_other_service) else {
            return;
        };
        other.warned.store(true, Ordering::Relaxed);
        if !self.warned.swap(true, Ordering::Relaxed) {
            trace::warn(format_args!(
                "two paywalls of this process have the same origin ({}), master secret, store and service label, but not the same \
                 priced routes: what is bought at one may open the other; if they are two services, give each its own label with \
                 .service(\"..\")",
                self.keys.origin()
            ));
        }
    }
}

/// Whether two sets of rules are not those of replicas. As long as more layers may follow, rules
/// that are missing on one side say nothing: what counts is a rule of ours that the other lacks
/// although it has at least as many.
fn differ(own: &BTreeSet<u64>, theirs: &BTreeSet<u64>, is_complete: bool) -> bool {
    let can_tell =
        !own.is_empty() && !theirs.is_empty() && own.len().max(theirs.len()) < MOST_RULES;
    can_tell
        && if is_complete {
            own != theirs
        } else {
            own.len() <= theirs.len() && !own.is_subset(theirs)
        }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
