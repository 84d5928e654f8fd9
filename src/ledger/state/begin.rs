use super::{books::Books, budgets::Asked, changes::Changes, index::Work};
use crate::{
    clock::Timestamp,
    ledger::{
        BeginError, BeginRefusal, Begun, EntryId, EntryState, LedgerError, LedgerErrorKind,
        NewPayment, OverBudget,
        entry::{MAX_PATH, Record},
        plain::plain,
        tried::Tried,
    },
    payment::PayerId,
};

impl Books {
    /// Checks a payment against everything that is known, and reserves it, in one step.
    pub(in crate::ledger) fn begin(
        &mut self,
        new: NewPayment,
        id: EntryId,
        now: Timestamp,
        changes: &mut dyn Changes,
    ) -> Result<Begun, BeginError> {
        let nearly_used_up = self.would_begin(&new, now)?;
        self.make_room(changes)?;
        let budget = new.budget.clone();
        let entry = record(new, id, self.next_number(), now);
        self.live.calls.insert(id, Work::Request);
        self.put(entry, changes);
        Ok(Begun {
            id,
            remaining: self.budget(&budget, now).and_then(|state| state.remaining),
            nearly_used_up,
        })
    }

    /// Checks a payment against everything that is known. Returns the limits that it nearly uses up.
    pub(in crate::ledger) fn would_begin(
        &self,
        new: &NewPayment,
        now: Timestamp,
    ) -> Result<Vec<OverBudget>, BeginError> {
        check_lengths(new)?;
        self.check_invoice(new).map_err(BeginError::Refused)?;
        self.check_host(&new.host).map_err(BeginError::Refused)?;
        self.check_payer(new.payer).map_err(BeginError::Refused)?;
        let asked = Asked {
            budget: &new.budget,
            host: &new.host,
            msat: u128::from(new.amount.as_msat()) + u128::from(new.max_fee.as_msat()),
        };
        let nearly_used_up = self.budgets.check(&asked, now);
        let nearly_used_up = nearly_used_up.map_err(BeginError::Refused)?;
        self.check_room()?;
        Ok(nearly_used_up)
    }

    /// Forgets the oldest failed entry if there is no room for another one.
    pub(super) fn make_room(&mut self, changes: &mut dyn Changes) -> Result<(), LedgerError> {
        self.check_room()?;
        if self.entries.len() >= self.capacity {
            self.forget_first_failed(changes);
        }
        Ok(())
    }

    fn check_room(&self) -> Result<(), LedgerError> {
        if self.entries.len() < self.capacity || !self.index.failed.is_empty() {
            return Ok(());
        }
        let why = "no room for another entry: export old ones and use `Ledger::forget_before`, or set a higher `LedgerOptions::capacity`";
        Err(LedgerError::new(LedgerErrorKind::Full, why))
    }

    /// Refuses an invoice that was seen before, and a request with a payment that has not ended.
    fn check_invoice(&self, new: &NewPayment) -> Result<(), BeginRefusal> {
        let same_invoice = self.index.of_hash(new.network, new.payment_hash);
        if let Some(held) = same_invoice.and_then(|id| self.entries.get(&id)) {
            if held.request_key != new.request_key {
                return Err(BeginRefusal::KnownElsewhere(held.id));
            }
            match held.state {
                EntryState::Failed => {}
                EntryState::Paid => return Err(BeginRefusal::AlreadyPaid(held.id)),
                EntryState::InFlight | EntryState::Reserved | EntryState::Sent => {
                    return Err(BeginRefusal::Unresolved(held.id));
                }
                EntryState::Earned
                | EntryState::Redeemed
                | EntryState::Refused
                | EntryState::Unproved => return Err(BeginRefusal::AlreadyUsed(held.id)),
            }
        }
        // A call that began one, or presents one, is another request of the application. One that
        // asks the payer is not: what it finds is for whichever request comes next.
        let own = self.index.of_request(&new.request_key);
        let left = own.filter(|id| !self.live.is_of_a_request(id) && !new.others.contains(id));
        let left = left.filter_map(|id| self.entries.get(&id));
        let left = left.filter(|held| !held.is_no_use_for(&new.headers));
        match left.min_by_key(|held| held.state != EntryState::Paid) {
            None => Ok(()),
            Some(held) if held.state == EntryState::Paid => Err(BeginRefusal::AlreadyPaid(held.id)),
            Some(held) => Err(BeginRefusal::Unresolved(held.id)),
        }
    }

    /// Refuses a host that refused a paid credential, with two payments that are not resolved, or
    /// with three of which nobody knows whether it served them.
    fn check_host(&self, host: &str) -> Result<(), BeginRefusal> {
        let is_refused = |id: &EntryId| {
            let entry = self.entries.get(id);
            entry.is_some_and(|entry| entry.state == EntryState::Refused)
        };
        let doubts: Vec<_> = self.index.doubts(host).take(MOST_NAMED).collect();
        if doubts.len() >= MOST_DOUBTS {
            let (host, entries) = (host.to_owned(), doubts);
            return Err(BeginRefusal::HostInTrouble { host, entries });
        }
        let entries: Vec<_> = self.index.trouble(host).take(MOST_NAMED).collect();
        if entries.len() >= 2 || entries.iter().any(is_refused) {
            let host = host.to_owned();
            return Err(BeginRefusal::HostInTrouble { host, entries });
        }
        Ok(())
    }

    /// Refuses a payer with two payments that it cannot prove.
    fn check_payer(&self, payer: Option<PayerId>) -> Result<(), BeginRefusal> {
        let unproved = self.index.unproved(payer);
        let entries: Vec<_> = unproved
            .filter(|id| !self.is_cleared(id))
            .take(MOST_NAMED)
            .collect();
        match entries.len() {
            0 | 1 => Ok(()),
            _ => Err(BeginRefusal::PayerInTrouble { entries }),
        }
    }
}

fn record(new: NewPayment, id: EntryId, number: u64, now: Timestamp) -> Record {
    let path = new.path.split(['?', '#']).next().unwrap_or_default();
    let state = if new.is_held {
        EntryState::Reserved
    } else {
        EntryState::Sent
    };
    Record {
        id,
        number,
        state,
        is_cleared: false,
        network: new.network,
        payment_hash: new.payment_hash,
        amount: new.amount,
        max_fee: new.max_fee,
        fee: None,
        origin: plain(&new.origin, MAX_ORIGIN),
        host: new.host,
        method: plain(&new.method, MAX_METHOD),
        path: plain(path, MAX_PATH),
        dialect: new.dialect,
        description: new.description.map(|text| plain(&text, MAX_DESCRIPTION)),
        budget: Some(new.budget),
        payer: new.payer,
        created_at: now,
        sent_at: (!new.is_held).then_some(now),
        paid_at: None,
        ended_at: None,
        invoice_expires_at: new.invoice_expires_at,
        redeem_until: new.redeem_until,
        note: None,
        answered: None,
        request_key: new.request_key,
        tried: Tried::for_headers(new.headers),
        invoice: new.invoice,
        payable: new.payable,
        preimage: None,
    }
}

/// Refuses what is too long, and cannot be cut without becoming something else.
fn check_lengths(new: &NewPayment) -> Result<(), LedgerError> {
    let fits = new.host.len() <= MAX_HOST
        && new.origin.len() <= MAX_ORIGIN
        && new.invoice.len() <= MAX_INVOICE
        && new.payable.len() <= MAX_PAYABLE;
    if fits {
        return Ok(());
    }
    let why =
        "a host has at most 255 bytes, an origin 300, an invoice 8 KiB, a stored challenge 64 KiB";
    Err(LedgerError::new(LedgerErrorKind::Invalid, why))
}

const MAX_HOST: usize = 255;
const MAX_ORIGIN: usize = 300;
const MAX_INVOICE: usize = 8 << 10;
const MAX_PAYABLE: usize = 64 << 10;
const MAX_METHOD: usize = 32;
const MAX_DESCRIPTION: usize = 200;
/// So many payments in a row may end in doubt.
const MOST_DOUBTS: usize = 3;
/// How many entries a refusal names at most.
const MOST_NAMED: usize = 8;
