//! Warns if two paywalls of one process accept each other's credentials but sell different things.
//! Replicas of one service sell the same. Two services need labels of their own.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use super::Charge;
use crate::{
    lock::lock,
    {dialect::keys::KeyRing, payment::Access, trace},
};

/// The live paywalls, at most [`MOST_PAYWALLS`].
static LIVE: Mutex<Vec<Weak<Sold>>> = Mutex::new(Vec::new());

const MOST_PAYWALLS: usize = 1_024;

/// A paywall with more rules than this is not compared.
const MOST_RULES: usize = 4_096;

/// The rules of one paywall and the keys that it sells under.
#[derive(Debug)]
pub(in crate::server) struct Sold {
    keys: Arc<KeyRing>,
    rules: Mutex<SoldRules>,
    /// Whether it was compared with the others since its last rule.
    compared: AtomicBool,
    /// Whether a warning about it was logged.
    warned: AtomicBool,
}

/// Hashes of the rules whose uses the store counts, then of the rules that sell a duration.
type SoldRules = [BTreeSet<u64>; 2];

/// The parts of a rule in which two services may differ, hashed.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct SoldRule {
    is_timed: bool,
    hash: u64,
}

impl SoldRule {
    /// `place` is the rule's text in a table. It is empty for a layer that charges for every
    /// request. All price functions count as equal.
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
    /// Registers a new paywall, without rules.
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

    /// Adds the rules of a new layer.
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

    /// Compares with all other paywalls at the first request for an invoice: by then all layers are
    /// probably built.
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
                 priced routes: what a client buys at one may be valid at the other; if they are two services, give each its own label with \
                 .service(\"..\"), which voids what was sold; if one replaces the other in this process, drop the old one",
                self.keys.origin()
            ));
        }
    }
}

/// Whether two sets of rules belong to different services. While more layers may follow, a missing
/// rule proves nothing. Then only this counts: we have a rule that the other lacks, although it has
/// at least as many rules as we have.
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
