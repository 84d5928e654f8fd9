//! Core Lightning, over its unix socket.
//!
//! The methods are those of the
//! [JSON-RPC reference](https://docs.corelightning.org/reference/get_list_methods_resource).

mod builder;
mod fault;
mod node;
mod payments;
mod rpc;
mod settled;
mod version;
mod wire;

pub(super) use self::builder::connect;
pub use self::{builder::ClnBuilder, node::Cln};
