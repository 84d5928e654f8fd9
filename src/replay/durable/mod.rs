//! The durable store: what its writer thread decides, and how that is written down.

mod encoding;
mod machine;
mod options;
mod store;

#[cfg(test)]
mod tests;

#[cfg(feature = "__internals")]
pub(super) use self::{
    encoding::{entry_key, write_entry},
    machine::told,
};
pub use self::{options::DurableOptions, store::DurableStore};
