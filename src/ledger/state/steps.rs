use super::{
    books::{Books, conflict, unknown},
    changes::Changes,
    index::Work,
};
use crate::{
    clock::Timestamp,
    ledger::{
        Claim, Entry, EntryId, EntryState, LedgerError,
        entry::{Held, Record},
        plain::plain,
    },
    payment::{Amount, Preimage},
};

/// What happened to a payment, to be written before anything else happens to it.
#[derive(Clone, Debug)]
pub(in crate::ledger) enum Step {
    Cleared,
    Failed(String),
    /// A person cleared it, and nobody is left to ask what became of it.
    GivenUp(String),
    InFlight,
    /// With whether its credential is presented next, by the same call.
    Paid(Preimage, Amount, bool),
    Refused(String),
    Send,
    Unproved(String),
}

/// What happened to a payment, to be written soon.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) enum Later {
    /// Nobody heard that the payment was begun, so nobody paid.
    Abandoned,
    Answered(u16),
    /// A reusable credential is worth nothing any more.
    Dropped,
    /// The server refused a credential that it may have served before.
    InDoubt(u16),
    /// The credential is about to be presented.
    Presented,
    Redeemed {
        status: u16,
        is_reusable: bool,
    },
    /// The server refused the credential for a request with these headers, which are not those that
    /// it was bought for. `was_presented` says whether it was before that.
    RefusedFor {
        headers: [u8; 32],
        was_presented: bool,
    },
    /// The call that was at work on it has ended.
    Released,
}

impl Books {
    /// Takes a step. A step that was taken before changes nothing.
    pub(in crate::ledger) fn step(
        &mut self,
        id: EntryId,
        step: Step,
        now: Timestamp,
        changes: &mut dyn Changes,
    ) -> Result<(), LedgerError> {
        use EntryState as S;

        let Some(held) = self.entries.get(&id) else {
            return Err(unknown(format_args!("there is no entry {id}")));
        };
        let mut entry = Record::clone(held);
        match (step, entry.state) {
            (Step::Cleared, _) => entry.is_cleared = true,
            (Step::Send, S::Sent)
            | (Step::InFlight, S::InFlight)
            | (Step::Failed(_), S::Failed)
            | (Step::Paid(..), S::Paid | S::Redeemed | S::Refused)
            | (Step::Refused(_), S::Refused)
            | (Step::GivenUp(_) | Step::Unproved(_), S::Unproved) => return Ok(()),
            (Step::Send, S::Reserved) => {
                // Whoever decided may have taken long.
                if let Some(budget) = &entry.budget {
                    self.budgets.check_open(budget, now).map_err(conflict)?;
                }
                (entry.state, entry.sent_at) = (S::Sent, Some(now));
            }
            (Step::InFlight, S::Sent) => entry.state = S::InFlight,
            (Step::Failed(_), S::Reserved) => {
                self.forget_unsent(id, changes);
                return Ok(());
            }
            (Step::Failed(why), S::Sent | S::InFlight) => {
                entry.end(S::Failed, Some(&why), now);
                entry.forget();
            }
            (Step::Paid(preimage, fee, is_presented), S::Sent | S::InFlight | S::Unproved) => {
                if !entry.payment_hash.is_of(&preimage) {
                    return Err(conflict("a preimage of the payment hash was expected"));
                }
                // An unproved payment counted from its end on, and counts no longer than that.
                entry.paid_at = entry.ended_at.take().or(Some(now));
                (entry.state, entry.fee, entry.note) = (S::Paid, Some(fee), None);
                // Whatever was cleared before was other trouble.
                entry.is_cleared = false;
                entry.preimage = Some(Held(preimage));
                // It may have been, and the disk took no writes then.
                entry.tried.is_presented |= is_presented;
            }
            (Step::Refused(why), S::Paid) => {
                // Whatever was cleared before was other trouble.
                entry.is_cleared = false;
                entry.end(S::Refused, Some(&why), now);
            }
            (Step::Unproved(why), S::Sent | S::InFlight) => {
                // Whatever was cleared before was other trouble.
                entry.is_cleared = false;
                entry.end(S::Unproved, Some(&why), now);
            }
            (Step::GivenUp(why), S::Sent | S::InFlight) if entry.is_cleared => {
                entry.end(S::Unproved, Some(&why), now);
            }
            (step, state) => {
                let step = step.name();
                return Err(conflict(format_args!(
                    "payment {id} is {state}: it cannot become {step}"
                )));
            }
        }
        self.put(entry, changes);
        Ok(())
    }

    /// Notes what need not be written at once. Returns whether something changed.
    pub(in crate::ledger) fn later(
        &mut self,
        id: EntryId,
        later: Later,
        now: Timestamp,
        changes: &mut dyn Changes,
    ) -> bool {
        use EntryState as S;

        match later {
            Later::Abandoned | Later::Released => drop(self.end_call(id)),
            Later::InDoubt(_) | Later::Redeemed { .. } => drop(self.live.redeemed.remove(&id)),
            Later::Answered(_) | Later::Dropped | Later::Presented | Later::RefusedFor { .. } => {}
        }
        let Some(held) = self.entries.get(&id) else {
            return false;
        };
        let mut entry = Record::clone(held);
        match (later, entry.state) {
            (Later::Abandoned, S::Reserved | S::Sent) | (Later::Released, S::Reserved) => {
                self.forget_unsent(id, changes);
                return true;
            }
            (Later::Answered(status), S::Paid) => entry.answered = Some(status),
            (Later::Dropped, S::Redeemed) => entry.forget(),
            (Later::Presented, _) if entry.tried.is_presented => return false,
            (Later::Presented, S::Paid)
            // The disk did not take the step that says that it is paid.
            | (
                Later::Answered(_) | Later::Presented | Later::Redeemed { .. },
                S::InFlight | S::Sent,
            ) => entry.tried.is_presented = true,
            (
                Later::RefusedFor {
                    headers,
                    was_presented,
                },
                S::Paid,
            ) => {
                entry.tried.is_presented = was_presented;
                entry.tried.note_refused_for(headers);
                // No other request tries it. The server may have served the first one.
                let was_tried = was_presented || entry.answered.is_some();
                entry.tried.is_in_doubt |= was_tried && entry.tried.is_refused_for_many();
            }
            (Later::InDoubt(status), S::Paid) => {
                entry.end(S::Redeemed, Some(ASKED_AGAIN), now);
                entry.answered = Some(status);
                entry.tried.is_in_doubt = true;
                entry.is_cleared = false;
                entry.forget();
            }
            (
                Later::Redeemed {
                    status,
                    is_reusable,
                },
                S::Paid,
            ) => {
                let why = (status == 402).then_some(ASKED_AGAIN);
                entry.end(S::Redeemed, why, now);
                entry.answered = Some(status);
                entry.tried.is_in_doubt = false;
                if is_reusable {
                    entry.invoice.clear();
                } else {
                    entry.forget();
                }
                if (200..300).contains(&status) {
                    self.end_doubts(&entry.host, changes);
                }
            }
            _ => return false,
        }
        self.put(entry, changes);
        true
    }

    /// Notes that a host served what was paid for: what it did before that is no trouble.
    fn end_doubts(&mut self, host: &str, changes: &mut dyn Changes) {
        let ids: Vec<_> = self.index.doubts(host).collect();
        for id in ids {
            if let Some(held) = self.entries.get(&id) {
                let mut entry = Record::clone(held);
                match entry.state {
                    // Cleared, it would be no use for its own request.
                    EntryState::Paid => entry.tried.is_in_doubt = false,
                    _ => entry.is_cleared = true,
                }
                self.put(entry, changes);
            }
        }
    }

    /// Takes up a payment that has not ended, if no call is at work on it.
    pub(in crate::ledger) fn claim(&mut self, id: EntryId) -> Claim {
        let entry = match self.entries.get(&id) {
            Some(entry) if !self.live.redeemed.contains(&id) => entry,
            _ => return Claim::NotFree,
        };
        let work = match entry.state {
            EntryState::Paid => Work::Request,
            EntryState::InFlight | EntryState::Sent => Work::LookUp,
            _ => return Claim::NotFree,
        };
        match self.live.calls.get(&id) {
            Some(Work::LookUp) => return Claim::LookedUp,
            Some(Work::Request) => return Claim::NotFree,
            None => {}
        }
        self.live.calls.insert(id, work);
        Claim::Taken(Entry(entry.clone()))
    }

    /// Records income. Returns whether it was new.
    pub(in crate::ledger) fn earn(
        &mut self,
        mut income: Record,
        changes: &mut dyn Changes,
    ) -> Result<bool, LedgerError> {
        let payment = (income.network, income.payment_hash);
        if self.index.earned.contains_key(&payment) {
            return Ok(false);
        }
        self.make_room(changes)?;
        income.number = self.next_number();
        self.put(income, changes);
        Ok(true)
    }

    /// Releases what was reserved when an earlier process ended: it gave nothing to the payer.
    #[cfg(feature = "ledger-durable")]
    pub(in crate::ledger) fn release_reserved(
        &mut self,
        now: Timestamp,
        changes: &mut dyn Changes,
    ) {
        let reserved = self.entries.values();
        let reserved = reserved.filter(|entry| entry.state == EntryState::Reserved);
        let ids: Vec<_> = reserved.map(|entry| entry.id).collect();
        for id in ids {
            self.later(id, Later::Released, now, changes);
        }
    }
}

impl Record {
    fn end(&mut self, state: EntryState, why: Option<&str>, now: Timestamp) {
        self.state = state;
        self.ended_at = Some(now);
        if let Some(why) = why {
            self.note = Some(plain(why, MAX_NOTE));
        }
    }

    /// Forgets what only an unfinished payment needs.
    fn forget(&mut self) {
        self.preimage = None;
        self.invoice = String::new();
        self.payable = String::new();
    }
}

impl Step {
    const fn name(&self) -> EntryState {
        match self {
            Self::Cleared | Self::Send => EntryState::Sent,
            Self::Failed(_) => EntryState::Failed,
            Self::InFlight => EntryState::InFlight,
            Self::Paid(..) => EntryState::Paid,
            Self::Refused(_) => EntryState::Refused,
            Self::GivenUp(_) | Self::Unproved(_) => EntryState::Unproved,
        }
    }
}

const MAX_NOTE: usize = 300;
const ASKED_AGAIN: &str =
    "the server asked for payment again: it served the request before, or its credential had ended";
