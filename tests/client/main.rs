//! The client half, over our own server and over hostile ones.
#![allow(clippy::unwrap_used, reason = "what cannot be is a failed test")]

mod bank;
mod hostile;
#[path = "../server/journal.rs"]
mod journal;
mod shop;
mod stall;

mod addresses;
mod approvals;
mod beside;
mod broken_off;
mod budgets;
mod checks;
mod clearing;
mod credentials;
mod died;
mod doubts;
mod elsewhere;
mod headers;
mod interleavings;
mod killed;
mod liars;
mod logged;
mod lost;
mod once;
mod quotes;
mod recovers;
mod redirects;
mod replaced;
mod reqwest;
mod tokens;
