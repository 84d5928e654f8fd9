use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
};

use super::{
    Cln,
    fault::NAME,
    rpc::{self, ANSWER, Fault},
    settled,
    version::Version,
    wire::{Info, Nothing},
};
use crate::{
    codec::hex,
    lightning::{ConnectError, ConnectErrorKind, KeyCustody, Node, NodeError, url::NodeUrl},
    payment::Network,
};

impl Cln {
    /// Creates a builder for the node that has this socket, which is called `lightning-rpc`.
    pub fn builder(socket: impl Into<PathBuf>) -> ClnBuilder {
        ClnBuilder {
            socket: socket.into(),
            key_custody: KeyCustody::Exclusive,
            private_channels: false,
        }
    }
}

/// How to connect a node of Core Lightning: see [`Cln::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ClnBuilder {
    socket: PathBuf,
    key_custody: KeyCustody,
    private_channels: bool,
}

impl ClnBuilder {
    /// Sets who else can learn the preimages of the node. The default is
    /// [`KeyCustody::Exclusive`]. Set [`KeyCustody::Shared`] if others know its secret, may open its
    /// socket, or have a rune that may look up invoices.
    pub const fn key_custody(mut self, key_custody: KeyCustody) -> Self {
        self.key_custody = key_custody;
        self
    }

    /// Adds route hints for private channels to invoices, also if the node has public ones. Without
    /// it, the node adds them only if all of its channels are private.
    pub fn private_channels(mut self) -> Self {
        self.private_channels = true;
        self
    }

    /// Connects the node. It asks for the node's network, public key and version.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the socket cannot be opened, or the node does not answer as documented.
    pub async fn connect(self) -> Result<Cln, ConnectError> {
        let socket: Arc<Path> = self.socket.into();
        let failed = |fault| failed(&socket, fault);
        let info: Info = rpc::call(&socket, "getinfo", Nothing {}, Some(ANSWER))
            .await
            .map_err(failed)?;
        let network = Network::ALL
            .into_iter()
            .find(|network| network.as_str() == info.network)
            .ok_or_else(|| {
                ConnectError::new(
                    ConnectErrorKind::Node,
                    format!(
                        "Core Lightning at {} is on a network that is not supported: expected bitcoin, testnet, signet or regtest",
                        socket.display()
                    ),
                )
            })?;
        let public_key = hex::decode_any_case(&info.id).ok_or_else(|| {
            failed(Fault::Unreadable(
                "expected the public key of the node".into(),
            ))
        })?;
        let settled = settled::last(&socket).await.map_err(failed)?;
        Ok(Cln {
            socket: Arc::clone(&socket),
            network,
            public_key,
            version: Version::of(&info.version),
            key_custody: self.key_custody,
            private_channels: self.private_channels,
            sending: Arc::default(),
            settled: Arc::new(AtomicU64::new(settled)),
        })
    }
}

/// Connects the node of a `cln` URL.
pub(crate) async fn connect(url: &NodeUrl) -> Result<Node, ConnectError> {
    url.only(&["private_channels"])?;
    if !url.host().is_empty() || url.path().len() < 2 {
        return Err(ConnectError::url(
            "expected a cln URL with three slashes and the path of the socket, for example cln:///home/bitcoin/.lightning/bitcoin/lightning-rpc",
        ));
    }
    let mut builder = Cln::builder(url.path());
    builder.private_channels = url.flag("private_channels")?;
    let node = Arc::new(builder.connect().await?);
    let payer = match node.version.pays() {
        Ok(()) => Ok(node.clone() as _),
        Err(why) => Err(ConnectError::new(
            ConnectErrorKind::Node,
            format!(
                "Core Lightning at {} cannot pay: {why}",
                node.socket.display()
            ),
        )),
    };
    Ok(Node::new(NAME, Ok(node), payer))
}

/// Returns why a node with this socket could not be connected, and what to do.
fn failed(socket: &Path, fault: Fault) -> ConnectError {
    let path = socket.display();
    match fault {
        Fault::Unsent(error) => {
            let (kind, fix) = match error.kind() {
                io::ErrorKind::NotFound => (
                    ConnectErrorKind::File,
                    "there is no such file: name the file lightning-rpc in the folder of the node's network, and start lightningd",
                ),
                io::ErrorKind::PermissionDenied => (
                    ConnectErrorKind::File,
                    "this user may not open it: start lightningd with rpc-file-mode=0660 and put the user into its group",
                ),
                io::ErrorKind::ConnectionRefused => (
                    ConnectErrorKind::Unreachable,
                    "nobody listens on it: name the file lightning-rpc, and start lightningd",
                ),
                _ => (
                    ConnectErrorKind::Unreachable,
                    "it does not accept connections: check that lightningd runs",
                ),
            };
            ConnectError::new(
                kind,
                format!("the socket of Core Lightning, {path}, cannot be opened: {fix}"),
            )
            .because(error)
        }
        Fault::Lost(error) => ConnectError::new(
            ConnectErrorKind::Unreachable,
            format!("Core Lightning at {path} does not answer: check that lightningd runs"),
        )
        .because(error),
        fault => ConnectError::new(
            ConnectErrorKind::Node,
            format!(
                "the answer at {path} is not one of Core Lightning: name the file lightning-rpc"
            ),
        )
        .because(NodeError::from(fault)),
    }
}
