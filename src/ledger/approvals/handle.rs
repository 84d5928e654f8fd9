use std::{fmt, sync::Arc};

use super::{
    memory::MemoryShelf,
    parked::{ApprovalId, Parked},
    shelf::{Decision, Shelf},
};
use crate::{
    clock::{Clock, Timestamp},
    ledger::{LedgerError, LedgerErrorKind, NewPayment},
};

/// The payments that wait for a person, who approves or refuses each. Clones share them.
///
/// Those of a ledger in a folder are files there, so another process can decide while the ledger is
/// open.
#[derive(Clone)]
pub struct Approvals {
    shelf: Arc<dyn Shelf>,
    clock: Arc<dyn Clock>,
}

/// What is known about the approval of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Approval {
    /// A person approved it. That approval is used up now.
    Approved,
    /// It waits for a person under this id.
    Parked(ApprovalId),
    /// A person refused it.
    Refused(ApprovalId),
}

impl Approvals {
    pub(in crate::ledger) fn in_memory(clock: Arc<dyn Clock>) -> Self {
        Self {
            shelf: Arc::new(MemoryShelf::default()),
            clock,
        }
    }

    /// Opens the approvals of the ledger in `folder`, which another process may have open.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if there is no ledger in the folder, or if it cannot be read or written.
    #[cfg(feature = "ledger-durable")]
    pub fn open(folder: impl AsRef<std::path::Path>) -> Result<Self, LedgerError> {
        crate::ledger::clearances::check_is_ledger(folder.as_ref())?;
        let clock = Arc::new(crate::clock::SystemClock::new());
        Self::open_with(folder.as_ref(), clock)
    }

    #[cfg(feature = "ledger-durable")]
    pub(in crate::ledger) fn open_with(
        folder: &std::path::Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LedgerError> {
        let shelf = Arc::new(super::folder::FolderShelf::open(folder)?);
        Ok(Self { shelf, clock })
    }

    /// Returns what waits for a decision, oldest first.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if the approvals cannot be read. The same holds for all functions here.
    pub fn pending(&self) -> Result<Vec<Parked>, LedgerError> {
        let all = self.live(self.clock.now())?.into_iter();
        let pending = all.filter(|(_, decision)| *decision == Decision::Pending);
        let mut pending: Vec<_> = pending.map(|(parked, _)| parked).collect();
        pending.sort_by_key(|parked| (parked.created_at, parked.id));
        Ok(pending)
    }

    /// Approves one: the same request, made again, is paid once.
    ///
    /// # Errors
    ///
    /// [`LedgerErrorKind::Unknown`] if nothing waits under this id.
    pub fn approve(&self, id: ApprovalId) -> Result<(), LedgerError> {
        self.decide(id, Decision::Approved)
    }

    /// Refuses one: the same request is not paid for this price or more until 24 hours after it was
    /// parked.
    ///
    /// # Errors
    ///
    /// [`LedgerErrorKind::Unknown`] if nothing waits under this id.
    pub fn refuse(&self, id: ApprovalId) -> Result<(), LedgerError> {
        self.decide(id, Decision::Refused)
    }

    /// Uses up an approval of exactly this request, from this budget, for at most what was
    /// approved. If there is none, parks the payment, in the place of one of the same request that
    /// waits at another price. Blocks while a file is written.
    ///
    /// # Errors
    ///
    /// [`LedgerErrorKind::Full`] if 1,000 payments are parked already, or 50 of this host.
    pub fn ask(&self, payment: &NewPayment) -> Result<Approval, LedgerError> {
        let now = self.clock.now();
        let Some(asked) = Parked::new(payment, now) else {
            let why = "the amount and its fee limit do not fit into 64 bits";
            return Err(LedgerError::new(LedgerErrorKind::Invalid, why));
        };
        let all = self.live(now)?;
        let of = |wanted| {
            let own = all.iter().filter(move |(_, decision)| *decision == wanted);
            own.map(|(parked, _)| parked)
        };
        for approved in of(Decision::Approved).filter(|parked| parked.covers(&asked)) {
            if self.shelf.change(approved.id, Decision::Approved, None)? {
                return Ok(Approval::Approved);
            }
        }
        let refused =
            of(Decision::Refused).find(|parked| parked.is_like(&asked) && parked.max <= asked.max);
        if let Some(refused) = refused {
            return Ok(Approval::Refused(refused.id));
        }
        if of(Decision::Pending).any(|parked| parked.id == asked.id) {
            return Ok(Approval::Parked(asked.id));
        }
        // A server that moves its price gets no second place.
        let replaced: Vec<_> = of(Decision::Pending)
            .filter(|parked| parked.is_like(&asked))
            .collect();
        let of_host = all.iter().filter(|(parked, _)| parked.host == asked.host);
        let is_full = all.len() >= MAX_PARKED || of_host.count() >= MAX_OF_HOST;
        if is_full && replaced.is_empty() {
            let why = "1,000 payments are parked already, or 50 of this host: decide about some that wait; each is forgotten after 24 hours";
            return Err(LedgerError::new(LedgerErrorKind::Full, why));
        }
        self.shelf.keep(&asked)?;
        for parked in replaced {
            self.shelf.change(parked.id, Decision::Pending, None)?;
        }
        Ok(Approval::Parked(asked.id))
    }

    fn decide(&self, id: ApprovalId, decision: Decision) -> Result<(), LedgerError> {
        let waits = self.pending()?.iter().any(|parked| parked.id == id);
        if waits && self.shelf.change(id, Decision::Pending, Some(decision))? {
            return Ok(());
        }
        let why = format!("no payment waits under {id}: it has expired, or was decided already");
        Err(LedgerError::new(LedgerErrorKind::Unknown, why))
    }

    /// Returns what is not expired, and forgets the rest.
    fn live(&self, now: Timestamp) -> Result<Vec<(Parked, Decision)>, LedgerError> {
        let (live, expired): (Vec<_>, Vec<_>) = self
            .shelf
            .all()?
            .into_iter()
            .partition(|(parked, _)| parked.is_live(now));
        for (parked, decision) in expired {
            self.shelf.change(parked.id, decision, None)?;
        }
        Ok(live)
    }
}

impl fmt::Debug for Approvals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Approvals").finish_non_exhaustive()
    }
}

const MAX_PARKED: usize = 1_000;
const MAX_OF_HOST: usize = 50;
