//! Nostr Wallet Connect: a wallet behind a relay.
//!
//! The methods are those of [NIP-47](https://github.com/nostr-protocol/nips/blob/master/47.md).

mod address;
mod builder;
mod cipher;
mod fault;
mod incoming;
mod link;
mod node;
mod paid;
mod payments;
mod relay;
mod start;
mod wallet;
mod wire;

pub(super) use self::builder::connect;
pub use self::{builder::NwcBuilder, node::Nwc};
