//! Turning requests into 402s or served requests.

mod address;
#[cfg(all(feature = "conformance", feature = "l402", feature = "mpp", feature = "x402"))]
mod bench;
mod builder;
mod charge;
mod config_error;
pub mod cors;
mod future;
mod gate;
mod issue;
mod layer;
mod limit;
mod paywall;
mod price;
mod refuse;
mod request;
mod routes;
mod rule;
mod service;
mod settle;
mod settlements;
mod table;
mod target;

use std::time::Duration;

#[cfg(all(feature = "conformance", feature = "l402", feature = "mpp", feature = "x402"))]
#[doc(hidden)]
pub use self::bench::Bench;
pub use self::{
    address::ClientAddr,
    builder::PaywallBuilder,
    charge::Charge,
    config_error::ConfigError,
    future::ResponseFuture,
    layer::X402Layer,
    paywall::Paywall,
    price::{BadRequest, BoxError, Price, PriceRequest, price_fn},
    service::X402Service,
    settlements::Settlements,
    table::RouteTable,
};

/// The outcome of a call, or `None` where it took longer than `time`.
async fn within<T>(time: Duration, call: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(time, call).await.ok()
}
