//! Finds the rule that prices a request: the operator's route table and its lookup.

mod matching;
pub(super) mod priced;
pub(super) mod rule;
mod table;
pub(super) mod triage;

pub use self::table::RouteTable;
