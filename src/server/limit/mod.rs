//! Limits on unpaid invoices and free requests.

mod allowance;
mod limiter;
mod limits;
mod pace;
mod silence;
mod state;
mod waits;

pub(crate) use self::{
    allowance::Allowance,
    limiter::{Limiter, Slot},
    limits::UnpaidLimits,
    silence::CallEnd,
    state::Full,
};
