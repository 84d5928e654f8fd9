//! The operator's settings: the paywall and its builder, charges, prices, and secrets from files.

mod build;
mod builder;
mod challenge_headers;
pub(super) mod charge;
mod client_url;
mod dialects;
pub(super) mod error;
mod failures;
mod foreign;
mod grpc;
mod history;
mod keep;
mod mistakes;
pub(super) mod paywall;
pub(super) mod price;
mod receive_only;
mod secret_source;
mod secret_source_error;
mod shared_limits;
pub(super) mod siblings;
mod worth;

pub use self::{
    builder::PaywallBuilder,
    charge::Charge,
    error::ConfigError,
    paywall::Paywall,
    price::{BadRequest, Price, PriceRequest, price_fn},
    secret_source_error::SecretSourceError,
};
pub use crate::boxed::BoxError;
