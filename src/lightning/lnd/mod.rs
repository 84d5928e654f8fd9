//! LND, over its REST interface.

mod builder;
mod fault;
mod node;
mod pay;
mod receive;
mod rights;
mod settle;
mod state;
mod wire;

pub(super) use self::builder::connect;
pub use self::{builder::LndBuilder, node::Lnd};

const NAME: &str = "LND";
