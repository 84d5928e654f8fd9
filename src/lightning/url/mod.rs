//! What every adapter needs to be connected: the parts of a node's URL, its secrets, and the error
//! that names the part that is wrong.

mod error;
mod node_url;
mod secret;

pub(crate) use self::node_url::NodeUrl;
#[cfg(feature = "__rest")]
pub(crate) use self::secret::unreadable;
pub use self::{
    error::{ConnectError, ConnectErrorKind},
    secret::Secret,
};
