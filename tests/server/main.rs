//! The server half, over a node and a store in memory.

mod customer;
mod shop;
mod slow;

mod access;
mod bound;
mod crossing;
mod dropped;
mod faults;
mod methods;
mod nesting;
mod paying;
mod prices;
mod readiness;
mod restores;
