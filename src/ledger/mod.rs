//! The ledger of payments: budgets that hold, nothing paid twice, and a record of every payment.
//!
//! Whoever pays writes each step here before it takes it. So after a kill at any point, the next
//! start finds what was paid and what may still be in flight.
//!
//! ```text
//!            begin (held)        begin            in_flight
//!                 │                │            ┌───────────┐
//!                 ▼      send      ▼            │           ▼
//!             Reserved ─────────► Sent ─────────┘       InFlight
//!                 │                │                        │
//!         release │         failed │    paid    unproved    │
//!                 ▼                ▼     │          │       ▼
//!           (forgotten)         Failed   │          │  (the same)
//!                                        ▼          ▼
//!                      redeemed ◄──── Paid       Unproved
//!                      refused  ◄──────┘
//! ```
//!
//! A payment counts against its budget, and against every budget above that one, from
//! [`begin`](Ledger::begin) on: with the amount and the whole fee limit, and with the actual fee
//! once it is known. Only a failed payment counts for nothing. [`begin`](Ledger::begin) checks and
//! reserves in one step, so the limits hold however many requests run at once.
//!
//! # Time
//!
//! The ledger's time never goes backwards: it is the latest moment that it saw in this process, or
//! recorded in an earlier one. So a clock that is set back opens no new window. Every window is rolling: a day is the
//! last 24 hours, and a clock set ahead by less than that frees only what is that old.
//!
//! A clock that was far ahead once leaves windows closed until the true time catches up, and ends
//! budgets early. Set the clock right and restart: that is enough if nothing was recorded meanwhile.
//! Otherwise a person runs `Ledger::repair_clock` (feature `ledger-durable`).

mod approvals;
mod body_digest;
mod budget;
mod claim;
#[cfg(feature = "ledger-durable")]
mod clearances;
#[cfg(feature = "ledger-durable")]
mod clearing;
#[cfg(feature = "ledger-durable")]
mod clock_repair;
#[cfg(feature = "ledger-durable")]
mod durable;
mod entry;
mod error;
mod export;
mod handle;
mod ids;
mod income;
mod new_payment;
mod options;
mod payers;
mod paying;
mod plain;
mod presented;
mod reading;
mod refusal;
mod roots;
mod shown;
mod state;
#[cfg(test)]
mod tests;
mod total;
mod tried;

pub use self::{
    approvals::{Approval, ApprovalId, Approvals, Parked},
    body_digest::BodyDigest,
    budget::{Budget, BudgetPath, BudgetState},
    claim::Claim,
    entry::{Direction, Entry, EntryState},
    error::{LedgerError, LedgerErrorKind},
    export::Totals,
    handle::Ledger,
    ids::{EntryId, RequestKey},
    new_payment::NewPayment,
    options::LedgerOptions,
    refusal::{BeginError, BeginRefusal, Begun, LimitKind, OverBudget},
    total::Total,
};
#[cfg(feature = "client")]
pub(crate) use self::{payers::PayerInUse, roots::RootInUse};
