//! The client half, over our own server and over hostile ones.
#![allow(clippy::unwrap_used, reason = "what cannot be is a failed test")]

mod bank;
mod hostile;
mod shop;
mod stall;

mod addresses;
mod budgets;
mod checks;
mod credentials;
mod elsewhere;

mod killed;
mod liars;
mod lost;
mod once;
mod redirects;
mod tokens;
