//! The server half, over a node and a store in memory.

mod journal;
mod shop;
mod trade;

mod bindings;
mod bodies;
mod caching;
mod configuration;
mod cors;
mod dialects;
mod forged;
mod hostile;
mod interleavings;
mod leaks;
mod limits;
mod paths;
mod paying;
mod readers;
mod stores;
