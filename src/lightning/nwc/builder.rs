use std::sync::Arc;

use super::{Nwc, address::Address, fault::NAME, start::start};
use crate::{
    lightning::{
        ConnectError, ConnectErrorKind, Node, Payer, Receiver,
        url::{NodeUrl, Secret},
    },
    payment::Network,
};

/// The scheme of the URLs that wallets show.
const SCHEME: &str = "nostr+walletconnect";

impl Nwc {
    /// Creates a builder for a wallet. The secret is its whole `nostr+walletconnect` URL, exactly as
    /// the wallet shows it, because anyone who has it can use the wallet.
    pub const fn builder(url: Secret) -> NwcBuilder {
        NwcBuilder { url, network: None }
    }
}

/// How to connect a wallet behind Nostr Wallet Connect: see [`Nwc::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct NwcBuilder {
    url: Secret,
    network: Option<Network>,
}

impl NwcBuilder {
    /// Sets the network that the wallet must be on. Without it, every network is accepted, and a
    /// wallet that names none and makes no invoices counts as one on mainnet.
    pub const fn network(mut self, network: Network) -> Self {
        self.network = Some(network);
        self
    }

    /// Connects the wallet. It starts a task on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the URL is wrong, no relay is reached, the wallet does not answer or does
    /// not know the connection, or it is on another network.
    pub async fn connect(self) -> Result<Nwc, ConnectError> {
        let text = std::str::from_utf8(self.url.bytes()).map_err(|_| {
            ConnectError::url(
                "Nostr Wallet Connect needs a URL, which is text: copy it exactly as the wallet shows it",
            )
        })?;
        let url = NodeUrl::parse(text)?;
        if url.scheme() != SCHEME {
            return Err(ConnectError::url(format!(
                "expected a URL that begins with {SCHEME}:// : copy it exactly as the wallet shows it"
            )));
        }
        open(&url, self.network).await
    }
}

async fn open(url: &NodeUrl, network: Option<Network>) -> Result<Nwc, ConnectError> {
    Ok(Nwc::new(start(Address::of(url)?, network).await?))
}

/// Connects the wallet that a URL names.
pub(crate) async fn connect(url: &NodeUrl) -> Result<Node, ConnectError> {
    let wallet = Arc::new(open(url, None).await?);
    let may = |allowed: bool, methods: &str| {
        let lacks = || {
            let text = format!(
                "this connection of Nostr Wallet Connect lacks a right: allow it {methods}"
            );
            ConnectError::new(ConnectErrorKind::Permission, text)
        };
        allowed.then(|| Arc::clone(&wallet)).ok_or_else(lacks)
    };
    let receiver = may(wallet.receives(), "make_invoice and lookup_invoice");
    let payer = may(wallet.pays(), "pay_invoice and lookup_invoice");
    Ok(Node::new(
        NAME,
        receiver.map(|wallet| wallet as Arc<dyn Receiver>),
        payer.map(|wallet| wallet as Arc<dyn Payer>),
    ))
}
