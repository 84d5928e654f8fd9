//! The store in a PostgreSQL database: its statements are in `schema/`.

mod check;
mod connections;
mod consumes;
mod ends;
mod error;
mod gate;
mod open;
mod options;
mod records;
mod seen;
mod statements;
mod store;
mod url;

pub use self::{options::PostgresOptions, store::PostgresStore};
