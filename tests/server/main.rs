//! The server half, over a node and a store in memory.
#![allow(clippy::unwrap_used, reason = "what cannot be is a failed test")]

mod customer;
mod shop;
mod slow;

mod access;
mod bound;
mod crossing;
mod custody;
mod dropped;
mod faults;
mod invoices;
mod methods;
mod named;
mod nesting;
mod paying;
mod prices;
mod racing;
mod readiness;
mod restores;
mod settling;
mod tokens;
mod worlds;
