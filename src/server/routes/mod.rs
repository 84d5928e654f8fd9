//! Which rule prices a request: the table that an operator writes, and its lookup.

mod matching;
pub(super) mod rule;
pub(super) mod shop;
mod table;
pub(super) mod triage;

pub use self::table::RouteTable;
