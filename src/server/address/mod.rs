//! The address of a client, from trusted sources only.

mod client;
mod proxies;

#[cfg(test)]
mod tests;

pub use self::client::ClientAddr;
pub(super) use self::{
    client::peer,
    proxies::{MAX_HOPS, parameter},
};
pub(crate) use self::{
    client::{Block, ClientKey},
    proxies::{ForwardedBy, Proxies},
};
