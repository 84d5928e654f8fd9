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
//! - The server refuses (421) a request whose authorities are well formed but none of them ours. It
//!   binds a request without any authority to the configured origin.
//! - A port is a number from 1 to 65535 without leading zeros; an empty one is none.
//! - A raw `[` or `]` is allowed in path and query, because the reference implementations allow
//!   it there.

mod http;
mod mcp;
mod params;
mod request;
mod url;

pub use self::request::{RequestBinding, RequestHash};
pub(crate) use self::{
    params::{Binding, Params},
    url::http_url,
};
