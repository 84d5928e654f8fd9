use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
};

use super::{
    fault::{NAME, refused},
    payments,
    rpc::{self, ANSWER, Fault},
    settled,
    wire::{Info, Invoices, Made, NewInvoice, Nothing, OfPayment},
};
use crate::lightning::{
    BoxFuture, BoxStream, ConnectError, ConnectErrorKind, Description, InvoiceRequest,
    InvoiceStatus, KeyCustody, Node, NodeError, NodeErrorKind, PayLimits, Payer, PayerProfile,
    PaymentStatus, Receiver, ReceiverProfile, exact, payable, sending::Sending, url::NodeUrl,
};
use crate::{
    codec::hex,
    payment::{Invoice, Network, PaymentHash},
};

/// A Core Lightning node, reached through its unix socket. It receives and pays.
///
/// It needs Core Lightning 24.11 or newer, because it pays with `xpay`.
///
/// | | |
/// |---|---|
/// | amounts | exact msat, for invoices and fees |
/// | keys | the operator's own: [`KeyCustody::Exclusive`] |
/// | settlements | pushed, by `waitanyinvoice`; after a lost connection it tries again, at first after 1 second, later after at most 1 minute. The stream begins with the invoices that were paid since the node was connected. |
/// | paying twice | asks `listpays` first, and pays nothing that succeeded or is under way. The node remembers that across restarts of this process, from the moment when it has found a first route. |
///
/// # Least privilege
///
/// Anyone who can open the socket can do everything, also spend, and the node cannot limit that: runes
/// work over other interfaces only. So [`ReceiverProfile::can_spend`] is always true. Give the
/// server's user access to the socket through a group (`rpc-file-mode=0660`), keep only little
/// money on such a node, or let another node receive.
///
/// # Descriptions
///
/// The node computes the hash of a description itself, so a description must be UTF-8 without
/// control characters other than tab and line breaks. Others are refused.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_x402::lightning::Cln;
///
/// let node = Cln::connect("/home/bitcoin/.lightning/bitcoin/lightning-rpc").await?;
/// # let _ = node;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cln {
    socket: Arc<Path>,
    network: Network,
    public_key: [u8; 33],
    sending: Arc<Sending>,
    /// The `pay_index` of the last settled invoice that is known.
    settled: Arc<AtomicU64>,
}

impl Cln {
    /// Connects the node that has this socket, which is called `lightning-rpc`. It asks for the
    /// node's network and public key.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the socket cannot be opened, or the node does not answer as documented.
    pub async fn connect(socket: impl Into<PathBuf>) -> Result<Self, ConnectError> {
        let socket: Arc<Path> = socket.into().into();
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
        Ok(Self {
            socket: Arc::clone(&socket),
            network,
            public_key,
            sending: Arc::default(),
            settled: Arc::new(AtomicU64::new(settled)),
        })
    }

    /// Connects the node of a `cln` URL.
    pub(crate) async fn from_url(url: &NodeUrl) -> Result<Node, ConnectError> {
        url.only(&[])?;
        if !url.host().is_empty() || url.path().len() < 2 {
            return Err(ConnectError::url(
                "expected a cln URL with three slashes and the path of the socket, for example cln:///home/bitcoin/.lightning/bitcoin/lightning-rpc",
            ));
        }
        let node = Arc::new(Self::connect(url.path()).await?);
        Ok(Node::new(NAME, Ok(node.clone()), Ok(node)))
    }

    async fn make(&self, request: InvoiceRequest) -> Result<Invoice, NodeError> {
        let (description, hashed) = match request.description {
            Description::Hashed(bytes) => {
                let text = String::from_utf8(bytes)
                    .map_err(|_| refused("expected a description in UTF-8"))?;
                (text, true)
            }
            Description::Text(text) => (text, false),
        };
        if description
            .chars()
            .any(|c| c < ' ' && !"\t\n\r".contains(c))
        {
            return Err(refused("expected a description without control characters"));
        }
        let mut label = [0; 16];
        getrandom::fill(&mut label)
            .map_err(|_| refused("the operating system has no randomness"))?;
        let params = NewInvoice {
            amount_msat: request.amount.as_msat(),
            label: format!("tower-x402-{}", hex::encode(label)),
            description: &description,
            expiry: request.expiry.as_secs(),
            deschashonly: hashed,
        };
        let made: Made = rpc::call(&self.socket, "invoice", params, Some(ANSWER)).await?;
        let (network, key) = (self.network, self.public_key);
        let invoice = exact::invoice(NAME, &made.bolt11, request.amount, network, key)?;
        exact::named(NAME, invoice, Some(&made.payment_hash))
    }
}

impl fmt::Debug for Cln {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cln")
            .field("socket", &self.socket)
            .field("network", &self.network)
            .field("public_key", &hex::encode(self.public_key))
            .finish_non_exhaustive()
    }
}

impl Receiver for Cln {
    fn profile(&self) -> ReceiverProfile {
        let mut profile = ReceiverProfile::new(self.network, KeyCustody::Exclusive);
        profile.public_key = Some(self.public_key);
        profile.can_spend = Some(true);
        profile
    }

    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        Box::pin(self.make(request))
    }

    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        Box::pin(async move {
            let params = OfPayment::from(payment_hash);
            let found: Invoices =
                rpc::call(&self.socket, "listinvoices", params, Some(ANSWER)).await?;
            found.status(payment_hash)
        })
    }

    fn settlements(&self) -> BoxStream<'_, PaymentHash> {
        settled::stream(&self.socket, &self.settled)
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), NodeError>> {
        Box::pin(async move {
            let info: Info = rpc::call(&self.socket, "getinfo", Nothing {}, Some(ANSWER)).await?;
            match info.syncing() {
                None => Ok(()),
                Some(why) => Err(NodeError::new(NodeErrorKind::Unreachable, NAME, why)),
            }
        })
    }
}

impl Payer for Cln {
    fn profile(&self) -> PayerProfile {
        PayerProfile::new(self.network, true)
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        limits: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        Box::pin(async move {
            payable::payable(NAME, invoice, self.network)?;
            payments::pay(&self.socket, &self.sending, invoice, limits).await
        })
    }

    fn lookup_payment(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        Box::pin(payments::status(&self.socket, &self.sending, payment_hash))
    }
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
