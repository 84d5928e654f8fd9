//! Limits on unpaid invoices and free requests.

mod allowance;
mod day_counts;
mod limiter;
mod limits;
mod numbered;
mod pace;
mod silence;
mod state;
mod waits;

pub use self::allowance::FreeAllowance;
pub(crate) use self::{
    allowance::NotCounted,
    limiter::{Limiter, Slot},
    limits::UnpaidLimits,
    silence::CallEnd,
    state::Full,
};
