//! What the ledger holds, for people and their spreadsheets: never a preimage, a credential, a
//! challenge, an invoice or a query.

mod csv;
mod lines;
mod totals;

pub use self::totals::{Total, Totals};
