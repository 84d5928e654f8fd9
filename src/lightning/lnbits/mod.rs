//! A wallet of LNbits, over its HTTP interface.

mod builder;
mod node;
mod pay;
mod receive;
mod wire;

pub(super) use self::builder::connect;
pub use self::{builder::LnbitsBuilder, node::Lnbits};

const NAME: &str = "LNbits";
