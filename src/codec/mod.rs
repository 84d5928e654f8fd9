//! Strict encoders and decoders for text, and the small grammars of HTTP. Reachable only for tests,
//! benches and fuzzers; not part of the public API.

pub mod auth_param;
pub(crate) mod authority;
pub mod base64;
pub(crate) mod bech32;
pub(crate) mod fields;
pub mod hex;
pub mod jcs;
pub mod json;
pub(crate) mod parts;
#[cfg(any(feature = "__rest", feature = "server"))]
pub(crate) mod private;
pub(crate) mod sha256;
