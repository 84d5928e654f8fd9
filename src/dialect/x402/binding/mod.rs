//! The request binding of `lnbtc`: what a payment commits to.
//!
//! An invoice's description hash is SHA-256 of a canonical JSON text about the one request that it
//! pays for. So a proof for one request is refused for any other. Two profiles define that text:
//! `http:1` ([`RequestBinding::http`]) and `mcp:1` ([`RequestBinding::mcp`]).
//!
//! If the specification's vectors leave a choice, this crate takes the strict one:
//!
//! - A whole number beyond 2^53 - 1 in bound MCP values cannot be bound. Its canonical text would
//!   be rounded, and a handler that reads it exactly would see another call than the one that was
//!   paid for.
//! - A request whose authorities are well formed, but none of them ours, is `request_mismatch`. A
//!   request that names no authority at all is bound to the configured origin, like every other
//!   (see [`PublicOrigin`]).
//! - A port is a number from 1 to 65535 without leading zeros. An empty port is no port.
//! - A raw `[` or `]` is allowed in path and query, because the reference implementations allow it
//!   there.

mod http;
mod mcp;
mod origin;
mod params;
mod request;
mod url;

pub use self::{
    origin::PublicOrigin,
    request::{RequestBinding, RequestHash},
};
pub(crate) use self::{
    params::{Binding, Params},
    url::http_url,
};
