use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::Hash,
};

use crate::{
    ledger::{EntryId, EntryState, RequestKey, entry::Record},
    payment::{Network, PayerId, PaymentHash},
};

/// Where to find an entry by what it is about.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The payments of each invoice, in the order in which they were begun.
    by_hash: BTreeMap<(Network, PaymentHash, u64), EntryId>,
    /// Income by its invoice.
    pub(super) earned: HashMap<(Network, PaymentHash), EntryId>,
    /// Payments that have not ended, in the order in which they were begun.
    by_request: HashMap<RequestKey, BTreeSet<(u64, EntryId)>>,
    /// Entries for which a host is in trouble.
    trouble: HashMap<String, BTreeSet<EntryId>>,
    /// Payments that a payer cannot prove.
    unproved: HashMap<Option<PayerId>, BTreeSet<EntryId>>,
    /// Payments that a host refused and may have served before, since it last served one.
    doubts: HashMap<String, BTreeSet<EntryId>>,
    /// Payments whose outcome is not known.
    pub(super) unresolved: BTreeSet<(u64, EntryId)>,
    /// All entries in their order.
    pub(super) by_number: BTreeMap<u64, EntryId>,
    /// Reusable credentials.
    pub(super) reusable: BTreeSet<(u64, EntryId)>,
    /// Payments that failed.
    pub(super) failed: BTreeSet<(u64, EntryId)>,
}

impl Index {
    /// Notes what an entry is now. `is_live` says whether the request that began it is at work.
    pub(super) fn note(&mut self, entry: &Record, is_live: bool) {
        let (place, hash) = (
            (entry.number, entry.id),
            (entry.network, entry.payment_hash),
        );
        self.by_number.insert(entry.number, entry.id);
        if entry.state == EntryState::Earned {
            self.earned.insert(hash, entry.id);
        } else {
            let (network, hash) = hash;
            self.by_hash.insert((network, hash, entry.number), entry.id);
        }
        let has_not_ended = has_not_ended(entry.state);
        toggle_of(
            &mut self.by_request,
            &entry.request_key,
            place,
            has_not_ended,
        );
        toggle(&mut self.unresolved, place, is_unresolved(entry.state));
        let is_reusable = entry.state == EntryState::Redeemed && entry.preimage.is_some();
        toggle(&mut self.reusable, place, is_reusable);
        toggle(&mut self.failed, place, entry.state == EntryState::Failed);
        self.note_trouble(entry, is_live);
        let is_unproved = entry.state == EntryState::Unproved;
        toggle_of(&mut self.unproved, &entry.payer, entry.id, is_unproved);
    }

    /// Forgets an entry that has ended.
    pub(super) fn forget(&mut self, entry: &Record) {
        let hash = (entry.network, entry.payment_hash);
        let place = (entry.number, entry.id);
        toggle_of(&mut self.by_request, &entry.request_key, place, false);
        toggle_of(&mut self.unproved, &entry.payer, entry.id, false);
        self.by_number.remove(&entry.number);
        self.failed.remove(&place);
        self.reusable.remove(&place);
        self.by_hash
            .remove(&(entry.network, entry.payment_hash, entry.number));
        if self.earned.get(&hash) == Some(&entry.id) {
            self.earned.remove(&hash);
        }
    }

    /// Notes whether an entry is a reason not to pay its host.
    pub(super) fn note_trouble(&mut self, entry: &Record, is_live: bool) {
        let is_trouble = !entry.is_cleared
            && match entry.state {
                EntryState::InFlight | EntryState::Refused => true,
                // A call that is at work on it will know the outcome.
                EntryState::Sent => !is_live,
                _ => false,
            };
        toggle_of(&mut self.trouble, &entry.host, entry.id, is_trouble);
        let is_in_doubt = !entry.is_cleared && entry.tried.is_in_doubt;
        toggle_of(&mut self.doubts, &entry.host, entry.id, is_in_doubt);
    }

    /// Returns the payments that a payer cannot prove.
    pub(super) fn unproved(&self, payer: Option<PayerId>) -> impl Iterator<Item = EntryId> {
        self.unproved.get(&payer).into_iter().flatten().copied()
    }

    /// Returns whether any payment has not ended.
    pub(super) fn has_unended(&self) -> bool {
        !self.by_request.is_empty()
    }

    /// Returns the payments for a request that have not ended.
    pub(super) fn of_request(&self, key: &RequestKey) -> impl Iterator<Item = EntryId> {
        let own = self.by_request.get(key).into_iter().flatten();
        own.map(|(_, id)| *id)
    }

    /// Returns the entries that may be a reason not to pay a host.
    pub(super) fn trouble(&self, host: &str) -> impl Iterator<Item = EntryId> {
        self.trouble.get(host).into_iter().flatten().copied()
    }

    /// Returns the entries that may be a reason not to pay any host, or with any payer.
    pub(super) fn all_trouble(&self) -> impl Iterator<Item = EntryId> {
        let all = self.trouble.values().chain(self.doubts.values());
        all.chain(self.unproved.values()).flatten().copied()
    }

    /// Returns the payments of a host that it refused and may have served before.
    pub(super) fn doubts(&self, host: &str) -> impl Iterator<Item = EntryId> {
        self.doubts.get(host).into_iter().flatten().copied()
    }

    /// Returns the last payment of an invoice. All others of that invoice have failed.
    pub(super) fn of_hash(&self, network: Network, hash: PaymentHash) -> Option<EntryId> {
        let all = (network, hash, 0)..=(network, hash, u64::MAX);
        self.by_hash.range(all).next_back().map(|(_, id)| *id)
    }
}

/// Puts a value into the set of a key, or takes it out. Keeps no empty set.
fn toggle_of<K: Clone + Eq + Hash, V: Ord>(
    all: &mut HashMap<K, BTreeSet<V>>,
    key: &K,
    value: V,
    is_in: bool,
) {
    if is_in {
        all.entry(key.clone()).or_default().insert(value);
    } else if let Some(own) = all.get_mut(key) {
        own.remove(&value);
        if own.is_empty() {
            all.remove(key);
        }
    }
}

fn toggle(set: &mut BTreeSet<(u64, EntryId)>, place: (u64, EntryId), is_in: bool) {
    if is_in {
        set.insert(place);
    } else {
        set.remove(&place);
    }
}

const fn is_unresolved(state: EntryState) -> bool {
    matches!(state, EntryState::InFlight | EntryState::Sent)
}

const fn has_not_ended(state: EntryState) -> bool {
    matches!(
        state,
        EntryState::InFlight | EntryState::Paid | EntryState::Reserved | EntryState::Sent
    )
}

/// What a call of this process does with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// It asks the payer what became of it.
    LookUp,
    /// It began the payment, or presents its credential: a request of its own.
    Request,
}

/// Entries on which a call of this process is at work. No disk holds that.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) calls: HashMap<EntryId, Work>,
    /// Redeemed, and not written so yet: nobody takes them up again.
    pub(super) redeemed: HashSet<EntryId>,
}

impl Live {
    /// Returns whether a request of its own is at work on an entry.
    pub(super) fn is_of_a_request(&self, id: &EntryId) -> bool {
        self.calls.get(id) == Some(&Work::Request)
    }
}
