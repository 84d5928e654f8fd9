//! The server half, over a node and a store in memory.

mod shop;
mod trade;

mod bodies;
mod paying;
