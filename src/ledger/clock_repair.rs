//! What a person does after the clock of the machine was far ahead.

use std::{path::Path, sync::Arc, time::Duration};

use super::{Ledger, LedgerError, LedgerErrorKind, durable, state::Books};
use crate::clock::{Clock, SystemClock, Timestamp};

impl Ledger {
    /// Repairs the ledger in `folder` after the machine's clock was far ahead, which closes windows
    /// and ends budgets until the true time catches up. No process may have the ledger open.
    ///
    /// `now` is the true time, from a source that you trust: another clock, not this machine's.
    /// Every later moment in the ledger becomes `now`. So what was spent while the clock was ahead
    /// counts from now on for the whole length of each window, and no limit is exceeded.
    ///
    /// Never run this from a script, or with the time of the machine: with a clock that was set
    /// back it would end windows too early.
    ///
    /// # Errors
    ///
    /// - [`LedgerErrorKind::Invalid`] if the machine's clock differs from `now` by more than 10
    ///   minutes: set it first.
    /// - What [`open`](Self::open) returns.
    pub fn repair_clock(folder: impl AsRef<Path>, now: Timestamp) -> Result<(), LedgerError> {
        Self::repair_clock_with(folder.as_ref(), now, Arc::new(SystemClock::new()))
    }

    pub(super) fn repair_clock_with(
        folder: &Path,
        now: Timestamp,
        clock: Arc<dyn Clock>,
    ) -> Result<(), LedgerError> {
        let said = clock.now();
        if said.saturating_since(now).max(now.saturating_since(said)) > MOST_APART {
            let why = format!(
                "the clock of this machine says {}, and not {}: set it first",
                said.to_iso_8601(),
                now.to_iso_8601()
            );
            return Err(LedgerError::new(LedgerErrorKind::Invalid, why));
        }
        let books = Arc::new(std::sync::Mutex::new(Books::new(usize::MAX)));
        // All is written when this returns. Nobody keeps the ledger.
        durable::open(folder, books, clock, Some(now)).map(drop)
    }
}

const MOST_APART: Duration = Duration::from_secs(600);
