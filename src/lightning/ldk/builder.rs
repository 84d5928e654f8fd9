use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use ldk_node::bitcoin::Network as BitcoinNetwork;

use super::{LdkNode, NAME};
use crate::{
    lightning::{
        ConnectError, ConnectErrorKind, KeyCustody, blocking::Blocking, remembered::Remembered,
    },
    payment::Network,
};

/// How long to wait before the node is asked for settled invoices again: by default, at least and
/// at most.
const PAUSE: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3_600);

impl LdkNode {
    /// Creates a builder for a node that the application runs. The node may be started before or
    /// after that.
    pub const fn builder(node: Arc<ldk_node::Node>) -> LdkNodeBuilder {
        LdkNodeBuilder {
            node,
            key_custody: KeyCustody::Exclusive,
            pause: PAUSE,
        }
    }
}

/// How to use a node of LDK Node: see [`LdkNode::builder`].
#[derive(Clone)]
#[must_use]
pub struct LdkNodeBuilder {
    node: Arc<ldk_node::Node>,
    key_custody: KeyCustody,
    pause: Duration,
}

impl LdkNodeBuilder {
    /// Sets who else can learn the preimages of the node. The default is
    /// [`KeyCustody::Exclusive`]. Set [`KeyCustody::Shared`] if others know the seed, or can read
    /// the node's store.
    pub const fn key_custody(mut self, key_custody: KeyCustody) -> Self {
        self.key_custody = key_custody;
        self
    }

    /// Sets how long to wait before the node is asked for settled invoices again, from 10
    /// milliseconds to 1 hour. The default is 1 second. Each question goes through the node's whole
    /// list of payments.
    pub fn poll_every(mut self, pause: Duration) -> Self {
        self.pause = pause.clamp(SHORTEST, LONGEST);
        self
    }

    /// Creates the adapter.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the node is on a network that is not supported.
    pub fn build(self) -> Result<LdkNode, ConnectError> {
        let network = match self.node.config().network {
            BitcoinNetwork::Bitcoin => Network::Bitcoin,
            BitcoinNetwork::Testnet => Network::Testnet,
            BitcoinNetwork::Signet => Network::Signet,
            BitcoinNetwork::Regtest => Network::Regtest,
            other => {
                return Err(ConnectError::new(
                    ConnectErrorKind::Node,
                    format!(
                        "LDK Node is on {other}, which is not supported: expected bitcoin, testnet, signet or regtest"
                    ),
                ));
            }
        };
        Ok(LdkNode {
            network,
            public_key: self.node.node_id().serialize(),
            key_custody: self.key_custody,
            pause: self.pause,
            node: Arc::new(Blocking::new(NAME, self.node)),
            ends: Arc::new(Mutex::new(Remembered::new())),
            sending: Arc::default(),
        })
    }
}

impl fmt::Debug for LdkNodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LdkNodeBuilder")
            .field("key_custody", &self.key_custody)
            .field("pause", &self.pause)
            .finish_non_exhaustive()
    }
}
