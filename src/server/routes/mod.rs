//! Which rule prices a request: the table that an operator writes, and its lookup.

mod matching;
pub(super) mod priced;
pub(super) mod rule;
mod table;
pub(super) mod triage;

pub use self::table::RouteTable;
