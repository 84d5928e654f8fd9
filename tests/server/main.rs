//! The server half, over a node and a store in memory.
#![allow(clippy::unwrap_used, reason = "what cannot be is a failed test")]

mod customer;
mod journal;
mod shop;
mod slow;
mod trade;

mod access;
mod adapter;
mod bindings;
mod bodies;
mod bound;
mod boundaries;
mod caching;
mod configuration;
mod cors;
mod crossing;
mod custody;
mod dialects;
mod dropped;
mod edges;
mod faults;
mod forged;
mod heads;
mod hostile;
mod instances;
mod interleavings;
mod invoices;
mod leaks;
mod limits;
mod methods;
mod named;
mod nesting;
mod paths;
mod paying;
mod prices;
mod racing;
mod readers;
mod readiness;
mod restores;
mod retention;
mod settling;
mod several;
mod stores;
mod tokens;
mod worlds;
