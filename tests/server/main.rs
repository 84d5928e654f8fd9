//! The server half, over a node and a store in memory.

mod journal;
mod shop;
mod trade;

mod bodies;
mod caching;
mod leaks;
mod limits;
mod paying;
