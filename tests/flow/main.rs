//! Whole purchases over real sockets. Some of them use real payments through a channel.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod buyer;
mod child;
mod site;

mod hung_up;
mod kept;
mod killed;
mod purchase;
mod racing;
mod rotation;
mod started;
mod stock;
mod story;
mod streams;
