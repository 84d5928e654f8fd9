//! Limits on unpaid invoices and free requests.

mod allowance;
mod claimant;
mod claims;
mod day_counts;
mod limiter;
mod limits;
mod numbered;
mod pace;
mod places;
mod shared;
mod silence;
mod state;
mod waits;

pub use self::allowance::FreeAllowance;
pub(crate) use self::{
    allowance::NotCounted,
    limiter::{Limiter, Slot},
    limits::UnpaidLimits,
    numbered::is_name,
    shared::{SharedNumbers, Unclaimed},
    silence::CallEnd,
    state::{Full, TooMany},
};
