//! What every adapter needs to be connected: the parts of a node's URL, its secrets, and the error
//! that names the part that is wrong.

mod error;
mod node_url;
mod open_to_all;
mod secret;

#[cfg(feature = "server")]
pub(crate) use self::open_to_all::shell_word;
#[cfg(feature = "__rest")]
pub(crate) use self::secret::unreadable;
pub use self::{
    error::{ConnectError, ConnectErrorKind},
    secret::Secret,
};
pub(crate) use self::{node_url::NodeUrl, open_to_all::warn_if_open_to_all};
