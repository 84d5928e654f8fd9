//! Who asks: an address, as far as it can be known without a stranger's word.

mod client;
mod proxies;

#[cfg(test)]
mod tests;

pub use self::client::ClientAddr;
pub(super) use self::{client::peer, proxies::MAX_HOPS};
pub(crate) use self::{
    client::{Block, ClientKey},
    proxies::{ForwardedBy, Proxies},
};
