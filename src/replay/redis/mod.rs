//! The store on Redis or Valkey.

mod buckets;
mod cluster;
mod engine;
mod fault;
mod floors;
mod gathering;
mod opening;
mod options;
mod primary;
mod records;
mod reply;
mod scripts;
mod sending;
mod settings;
mod store;
mod tasks;
mod together;
mod upkeep;
mod url;

pub use self::{options::RedisOptions, store::RedisStore};
