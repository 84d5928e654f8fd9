//! The durable store: what its writer thread decides, and how it encodes that.

mod encoding;
mod machine;
mod options;
mod store;

#[cfg(test)]
mod tests;

#[cfg(feature = "__internals")]
pub(super) use self::{
    encoding::{payment_record_key, write_payment},
    machine::store_error,
};
pub use self::{options::DurableOptions, store::DurableStore};
