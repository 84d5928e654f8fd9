//! The paying client in the form that users of reqwest expect.

mod builder;
mod client;
mod dns;
mod hops;
mod service;

pub use self::{
    builder::PayingClientBuilder,
    client::{PayingClient, PayingRequest},
};
