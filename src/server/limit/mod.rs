//! How many unpaid invoices and free requests there may be.

mod allowance;
mod limiter;

pub(crate) use self::{
    allowance::Allowance,
    limiter::{Limiter, Slot, UnpaidLimits},
};
