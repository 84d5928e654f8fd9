//! The ledger in a folder: what its writer thread changes, and how that is encoded.

mod encoding;
mod journal;
mod machine;
#[cfg(test)]
mod tests;
mod tried;

pub(super) use self::{
    journal::{change, later, open},
    machine::LedgerMachine,
};
