//! The keys that are derived from the ring of master secrets: one for each purpose, origin, service
//! and store.

mod derive;
mod ring;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    derive::{DerivedKey, OriginKeys, Purpose},
    ring::{CurrentKeys, KeyRing},
};
