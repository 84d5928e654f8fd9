//! The server half, over a node and a store in memory.

mod customer;
mod shop;

mod crossing;
mod paying;
