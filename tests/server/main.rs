//! The server half, over a node and a store in memory.

mod customer;
mod shop;
mod slow;

mod access;
mod bound;
mod crossing;
mod dropped;
mod faults;
mod paying;
mod prices;
mod restores;
