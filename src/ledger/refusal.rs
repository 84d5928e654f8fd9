use std::{error::Error, fmt, time::Duration};

use super::{BudgetPath, EntryId, LedgerError};
use crate::payment::Amount;

/// A payment that was begun.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Begun {
    /// The name of its entry.
    pub id: EntryId,
    /// What could still be spent from its budget now, as in
    /// [`BudgetState::remaining`](super::BudgetState::remaining).
    pub remaining: Option<Amount>,
    /// The limits of which at most a fifth is left now, and more was left before this payment.
    pub nearly_used_up: Vec<OverBudget>,
}

/// Why a payment was not begun. Nothing was reserved, and nothing must be paid.
#[derive(Debug)]
#[non_exhaustive]
pub enum BeginError {
    /// The ledger could not say, or not write.
    Ledger(LedgerError),
    /// The ledger refused the payment.
    Refused(BeginRefusal),
}

/// Why the ledger refused a payment. The variants are in alphabetical order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BeginRefusal {
    /// The same request was paid before, and is not redeemed yet: redeem that payment.
    AlreadyPaid(EntryId),
    /// The same invoice was paid before for the same request, and that has ended.
    AlreadyUsed(EntryId),
    /// The budget, or one above it, has ended.
    BudgetExpired(BudgetPath),
    /// The budget, or one above it, was revoked.
    BudgetRevoked(BudgetPath),
    /// The host refused a paid credential, or two payments to it are not resolved.
    HostInTrouble {
        /// The host.
        host: String,
        /// The entries that must be resolved or cleared.
        entries: Vec<EntryId>,
    },
    /// The invoice is known from another request. A payer would hand out its preimage for nothing.
    KnownElsewhere(EntryId),
    /// A limit would be exceeded.
    OverBudget(OverBudget),
    /// The payer reported two payments that it cannot prove.
    PayerInTrouble {
        /// The entries that must be proved or cleared.
        entries: Vec<EntryId>,
    },
    /// There is no such budget.
    UnknownBudget(BudgetPath),
    /// The outcome of an earlier payment for the same request, or of the same invoice, is not known
    /// yet: ask the payer.
    Unresolved(EntryId),
}

/// A limit that a payment would exceed, with the figures. Amounts include fees.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OverBudget {
    /// The budget with the limit: the one that was to pay, or one above it.
    pub budget: BudgetPath,
    /// Which limit.
    pub kind: LimitKind,
    /// The limit.
    pub limit: Amount,
    /// What was spent of it.
    pub spent: Amount,
    /// What is reserved of it for payments that have not ended.
    pub reserved: Amount,
    /// The amount of this payment and its fee limit.
    pub asked: Amount,
}

/// What a limit applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitKind {
    /// All payments to one host.
    PerHost,
    /// All payments.
    Total,
    /// All payments in any time of this length.
    Window(Duration),
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerHost => f.write_str("per host"),
            Self::Total => f.write_str("in total"),
            Self::Window(length) => match length.as_secs() {
                3_600 => f.write_str("per hour"),
                86_400 => f.write_str("per day"),
                seconds => write!(f, "in {seconds} s"),
            },
        }
    }
}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the budget {} allows {} {}: {} are spent and {} reserved, and this payment may take {}",
            self.budget, self.limit, self.kind, self.spent, self.reserved, self.asked
        )
    }
}

impl fmt::Display for BeginRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyPaid(id) => {
                write!(f, "this request is paid already, by {id}: redeem that")
            }
            Self::AlreadyUsed(id) => write!(
                f,
                "the server asks for an invoice that was paid before for this request, by {id}"
            ),
            Self::BudgetExpired(path) => write!(f, "the budget {path} has ended"),
            Self::BudgetRevoked(path) => write!(f, "the budget {path} was revoked"),
            Self::HostInTrouble { host, entries } => {
                write!(
                    f,
                    "{host} is not paid until these payments are resolved or cleared:"
                )?;
                entries.iter().try_for_each(|id| write!(f, " {id}"))
            }
            Self::KnownElsewhere(id) => {
                write!(f, "the invoice is known from another request, of {id}")
            }
            Self::OverBudget(over) => over.fmt(f),
            Self::PayerInTrouble { entries } => {
                f.write_str("the payer pays nothing until these payments are proved or cleared:")?;
                entries.iter().try_for_each(|id| write!(f, " {id}"))
            }
            Self::UnknownBudget(path) => write!(f, "there is no budget {path}: create it first"),
            Self::Unresolved(id) => {
                write!(
                    f,
                    "the outcome of payment {id} is not known yet: ask the payer"
                )
            }
        }
    }
}

impl Error for BeginRefusal {}

impl fmt::Display for BeginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ledger(error) => error.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl Error for BeginError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Ledger(error) => error.source(),
            Self::Refused(_) => None,
        }
    }
}

impl From<LedgerError> for BeginError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}
