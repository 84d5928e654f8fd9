//! The request binding of `lnbtc`: what a payment commits to.
//!
//! An invoice's description hash is SHA-256 of a canonical JSON text about the one request that it
//! pays for. So a proof for one request is refused for any other. Two profiles define that text:
//! `http:1` ([`RequestBinding::http`]) and `mcp:1` ([`RequestBinding::mcp`]).

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
