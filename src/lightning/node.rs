use std::{fmt, sync::Arc};

use super::{ConnectError, Payer, Receiver};

/// A node or wallet that [`connect`](super::connect) connected: it receives, pays, or does both.
///
/// Clones share one connection.
#[derive(Clone)]
pub struct Node {
    name: &'static str,
    receiver: Result<Arc<dyn Receiver>, ConnectError>,
    payer: Result<Arc<dyn Payer>, ConnectError>,
}

impl Node {
    /// Creates a node from what it can do. An error says why it cannot, and what to do about it.
    #[allow(dead_code, reason = "unused without the feature of a node")]
    pub(crate) fn new(
        name: &'static str,
        receiver: Result<Arc<dyn Receiver>, ConnectError>,
        payer: Result<Arc<dyn Payer>, ConnectError>,
    ) -> Self {
        Self {
            name,
            receiver,
            payer,
        }
    }

    /// Returns what kind of node it is, for example `LND`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the node as one that receives payments, for
    /// `Paywall::builder`.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the credential cannot make invoices. The text names the missing right.
    pub fn receiver(&self) -> Result<Arc<dyn Receiver>, ConnectError> {
        self.receiver.clone()
    }

    /// Returns the node as a wallet that pays invoices.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the credential cannot pay. The text names the missing right.
    pub fn payer(&self) -> Result<Arc<dyn Payer>, ConnectError> {
        self.payer.clone()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.name)
            .field("receives", &self.receiver.is_ok())
            .field("pays", &self.payer.is_ok())
            .finish_non_exhaustive()
    }
}
