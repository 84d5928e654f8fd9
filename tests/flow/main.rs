//! Whole stories over real sockets, with real payments where it says so.
#![allow(clippy::unwrap_used, reason = "what cannot be is a failed test")]

mod child;
mod site;

mod hung_up;
mod killed;
mod racing;
mod story;
mod streams;
