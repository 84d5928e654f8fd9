//! phoenixd, over its HTTP interface.

mod builder;
mod node;
mod pay;
mod receive;
mod wire;

pub(super) use self::builder::connect;
pub use self::{builder::PhoenixdBuilder, node::Phoenixd};

const NAME: &str = "phoenixd";
