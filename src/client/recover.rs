//! What earlier processes, and calls that were given up, left behind: the payer is asked.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::{
    Wallet,
    outcome::{Outcome, Resolved},
};
use crate::ledger::{Claim, Entry, EntryId, EntryState, LedgerError};

/// How many payments are looked up at once.
const AT_ONCE: usize = 8;

/// How long a request waits for a recovery.
const MOST_TIME: Duration = Duration::from_secs(30);

/// A request that finds the budget reserved lets the payer be asked so often at most.
const PAUSE: Duration = Duration::from_secs(60);

/// What [`Wallet::recover`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Payments that were paid. The next such request redeems each.
    pub paid: usize,
    /// Payments that failed. Their money is free again.
    pub failed: usize,
    /// Payments whose outcome is still not known. Their money stays reserved.
    pub unresolved: usize,
    /// Payments that the payer reported and cannot prove. Their money counts as spent.
    pub unproved: usize,
}

impl Wallet {
    /// Asks the payer about every payment that was sent by an earlier process, or whose call was
    /// given up, and for the proof of those that it could not prove. Writes down what became of each.
    /// Stops if the payer cannot be reached.
    ///
    /// The first payment of a wallet does the same, and so does a payment that finds the budget
    /// reserved, once a minute at most. Each takes 30 seconds at most.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if the ledger cannot be read or written.
    pub async fn recover(&self) -> Result<Recovered, LedgerError> {
        let mut recovered = Recovered::default();
        let mut left = self.ledger().unresolved()?;
        left.extend(self.ledger().unproved_by(self.payer().profile().id)?);
        for some in left.chunks(AT_ONCE) {
            let mut is_reached = true;
            for one in join_all(some.iter().map(|entry| self.recover_one(entry))).await {
                is_reached &= one?.is_none_or(|found| found.note(&mut recovered));
            }
            if !is_reached {
                break;
            }
        }
        Ok(recovered)
    }

    /// Asks once about what an earlier process left behind. What is not known after a while is
    /// asked about later.
    pub(super) async fn recover_once(&self) -> Result<(), LedgerError> {
        let recover = || self.recover_briefly();
        let recovered = self.recovered().get_or_try_init(recover);
        recovered.await.map(drop)
    }

    /// Asks about what calls that were given up left reserved, unless that was asked shortly before.
    pub(super) async fn recover_again(&self) -> Result<(), LedgerError> {
        let mut last = self.last_recovery().lock().await;
        if last.is_some_and(|last| last.elapsed() < PAUSE) {
            return Ok(());
        }
        *last = Some(Instant::now());
        self.recover_briefly().await
    }

    /// Asks about the payments for which a host is in trouble.
    pub(super) async fn recover_all(&self, entries: &[EntryId]) -> Result<(), LedgerError> {
        let recover = async {
            for id in entries {
                if let Some(entry) = self.ledger().entry(*id)?
                    && let Some(found) = self.recover_one(&entry).await?
                    && !found.is_reached
                {
                    break;
                }
            }
            Ok(())
        };
        timeout(MOST_TIME, recover).await.unwrap_or(Ok(()))
    }

    async fn recover_briefly(&self) -> Result<(), LedgerError> {
        let recovered = timeout(MOST_TIME, self.recover()).await;
        recovered.map_or(Ok(()), |recovered| recovered.map(drop))
    }

    /// Returns what became of a payment. `None` if a call is at work on it.
    async fn recover_one(&self, entry: &Entry) -> Result<Option<Resolved>, LedgerError> {
        if entry.state() == EntryState::Unproved {
            return self.prove(entry).await.map(Some);
        }
        let Claim::Taken(entry) = self.ledger().claim(entry.id())? else {
            return Ok(None);
        };
        let hand = self.hand(entry.id());
        if entry.state() == EntryState::Paid {
            // Another call found out meanwhile. The next such request presents it.
            return Ok(None);
        }
        self.resolve(&hand, &entry).await.map(Some)
    }
}

impl Resolved {
    /// Counts it. Returns whether the payer was reached.
    fn note(&self, recovered: &mut Recovered) -> bool {
        let count = match self.outcome {
            Outcome::Failed(_) => &mut recovered.failed,
            Outcome::InFlight | Outcome::Unknown => &mut recovered.unresolved,
            Outcome::Paid(..) => &mut recovered.paid,
            Outcome::Unproved(_) => &mut recovered.unproved,
        };
        *count += 1;
        self.is_reached
    }
}
