//! Bytes to text and back, strict, and the small grammars of HTTP. Reachable for tests, benches and
//! fuzzers only; no part of the public API.

pub mod auth_param;
pub mod authority;
pub mod base64;
pub mod bech32;
pub mod fields;
pub mod hex;
pub mod jcs;
pub mod json;
pub mod sha256;
