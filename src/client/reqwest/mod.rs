//! The paying client in the form that users of reqwest expect.

mod client;
mod dns;
mod hops;
mod service;

pub use self::client::{PayingClient, PayingRequest};
