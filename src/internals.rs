//! The one door to what this crate's own benches, fuzzers and tests reach beside the public API.
//!
//! It is no part of the public API: it is behind the feature `__internals`, the documentation does
//! not show it, and any release may change it.

/// Text encodings and the small grammars of HTTP.
pub mod codec {
    pub use crate::codec::{auth_param, base64, hex, jcs, json};
}

/// What benches measure of L402.
#[cfg(feature = "l402")]
pub mod l402 {
    pub use crate::dialect::l402::bench::Bench;
}

/// What benches measure of MPP.
#[cfg(feature = "mpp")]
pub mod mpp {
    pub use crate::dialect::mpp::bench::Bench;
}

/// The durable store's engine without the store.
#[cfg(feature = "replay-durable")]
pub mod replay {
    pub use crate::replay::conformance::raw::{RawEngine, RawRecord};
}

/// What benches measure of the server.
#[cfg(all(
    feature = "server",
    feature = "l402",
    feature = "mpp",
    feature = "x402"
))]
pub mod server {
    pub use crate::server::bench::Bench;
}

/// What benches measure of x402, and what fuzzers present.
#[cfg(feature = "x402")]
pub mod x402 {
    pub use crate::dialect::x402::bench::{Bench, Call};
}
