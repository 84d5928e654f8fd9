use super::parked::{ApprovalId, Parked};
use crate::ledger::LedgerError;

/// What a person decided about a parked payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Decision {
    Approved,
    Pending,
    Refused,
}

#[cfg(feature = "ledger-durable")]
impl Decision {
    pub(super) const ALL: [Self; 3] = [Self::Approved, Self::Pending, Self::Refused];
}

/// Where parked payments are kept.
pub(super) trait Shelf: Send + Sync {
    /// Returns all of them, each with its decision.
    fn all(&self) -> Result<Vec<(Parked, Decision)>, LedgerError>;

    /// Keeps one that is pending.
    fn keep(&self, parked: &Parked) -> Result<(), LedgerError>;

    /// Changes a decision, or forgets the payment, in one step. Returns whether it was `from`: of
    /// several callers, one gets `true`.
    fn change(
        &self,
        id: ApprovalId,
        from: Decision,
        to: Option<Decision>,
    ) -> Result<bool, LedgerError>;
}
