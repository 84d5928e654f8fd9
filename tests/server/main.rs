//! The server half, over a node and a store in memory.

mod shop;

mod paying;
