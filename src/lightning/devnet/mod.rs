//! Two Lightning nodes and a channel in this process.

mod chain;
mod fault;
mod handle;
mod node;
mod traffic;

use std::{fmt, io, net, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    runtime::Handle,
    task::AbortHandle,
    time::{sleep, timeout},
};

pub use self::handle::DevnetNode;
use self::{
    fault::{NAME, unreachable},
    node::Node,
};
use super::{NodeError, NodeErrorKind};
use crate::trace;

/// How long the channel may take to become usable. Usually it takes a fraction of a second.
const START: Duration = Duration::from_secs(30);

/// How long one connection may take until the nodes are peers.
const CONNECT: Duration = Duration::from_secs(3);

/// Two real Lightning nodes (LDK) and a channel between them, inside this process, on regtest.
/// **The money is not real.**
///
/// The nodes, their encrypted connection over loopback TCP, the channel, its commitment
/// transactions and its HTLCs are as on any network. Only the chain is missing: nothing is
/// broadcast, and the nodes accept the channel without a confirmation. The two nodes can only pay
/// each other. They refuse invoices of every network except regtest.
///
/// When the `Devnet` and all its handles are dropped, its tasks end and its state is lost.
///
/// Both nodes can pay: each starts with half of a channel of 40 bitcoin. Each node has at most 400
/// payments in flight; further ones wait.
///
/// ```
/// use std::time::Duration;
/// use tower_x402::{
///     Amount,
///     lightning::{Description, Devnet, InvoiceRequest, PayLimits, Payer, PaymentStatus, Receiver},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_x402::lightning::NodeError> {
/// let devnet = Devnet::start().await?;
/// let (server, client) = (devnet.server(), devnet.client());
///
/// let what = Description::Text("a weather report".to_owned());
/// let invoice = server.create_invoice(InvoiceRequest::new(Amount::from_sat(10), what, Duration::from_secs(60))).await?;
/// let limits = PayLimits::new(Amount::ZERO, Duration::from_secs(10));
/// let PaymentStatus::Paid { preimage, .. } = client.pay(&invoice, limits).await? else { panic!("not paid") };
/// assert!(invoice.payment_hash().is_of(&preimage));
/// # Ok(())
/// # }
/// ```
///
/// Nobody outside this process can pay these nodes. To let others pay, add a route that pays from
/// the client node:
///
/// ```
/// # use std::time::Duration;
/// # use tower_x402::{Amount, Invoice, lightning::{Devnet, PayLimits, Payer, PaymentStatus}};
/// # async fn with(devnet: Devnet) -> axum::Router {
/// let wallet = devnet.client();
/// let pay = async move |invoice: String| {
///     let invoice = Invoice::parse(invoice.trim()).map_err(|error| error.to_string())?;
///     let limits = PayLimits::new(Amount::from_sat(10), Duration::from_secs(30));
///     match wallet.pay(&invoice, limits).await {
///         Ok(PaymentStatus::Paid { preimage, .. }) => Ok(preimage.expose_hex()),
///         other => Err(format!("not paid: {other:?}")),
///     }
/// };
/// axum::Router::new().route("/pay", axum::routing::post(pay)) // curl -d INVOICE http://127.0.0.1:3000/pay
/// # }
/// ```
///
/// Do not pause tokio's time while it runs. The nodes use real sockets, and paused time would run
/// ahead of them.
#[derive(Clone)]
pub struct Devnet(Arc<Running>);

impl Devnet {
    /// Starts both nodes, opens the channel and waits until it is usable. It spawns tasks on the
    /// current tokio runtime.
    ///
    /// # Errors
    ///
    /// - [`NodeErrorKind::Refused`] outside of a tokio runtime.
    /// - [`NodeErrorKind::Unreachable`] if no loopback socket is available, or if the channel is
    ///   not usable after 30 seconds.
    ///
    /// # Panics
    ///
    /// If the runtime does not have both I/O and time enabled.
    pub async fn start() -> Result<Self, NodeError> {
        if Handle::try_current().is_err() {
            return Err(NodeError::new(
                NodeErrorKind::Refused,
                NAME,
                "expected a tokio runtime: start it in an async function of one",
            ));
        }
        let late = |_| {
            unreachable(format!(
                "no channel was usable within {} seconds",
                START.as_secs()
            ))
        };
        let devnet = timeout(START, Self::open()).await.map_err(late)??;
        trace::info(format_args!(
            "a devnet is running: two Lightning nodes on regtest inside this process; THE MONEY IS NOT REAL and can never be spent"
        ));
        Ok(devnet)
    }

    /// Returns the node that receives a server's payments.
    #[must_use]
    pub fn server(&self) -> DevnetNode {
        DevnetNode::new("server", &self.0, &self.0.server)
    }

    /// Returns the node from which a client pays.
    #[must_use]
    pub fn client(&self) -> DevnetNode {
        DevnetNode::new("client", &self.0, &self.0.client)
    }

    async fn open() -> Result<Self, NodeError> {
        let client = Node::new(None)?;
        let server = Node::new(Some(client.id()))?;
        let tasks =
            [&client, &server].map(|node| tokio::spawn(Arc::clone(node).run()).abort_handle());
        let devnet = Self(Arc::new(Running {
            client,
            server,
            tasks,
        }));
        let (client, server) = (&devnet.0.client, &devnet.0.server);
        loop {
            connect(client, server).await.map_err(unreachable)?;
            let opened = async {
                while !client.open_channel(server.id()) {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            if timeout(CONNECT, opened).await.is_ok() {
                break;
            }
        }
        client.ready().await;
        server.ready().await;
        Ok(devnet)
    }
}

impl fmt::Debug for Devnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Devnet")
            .field("server", &self.server())
            .field("client", &self.client())
            .finish()
    }
}

/// Both nodes and their tasks, which end when the last handle is dropped.
struct Running {
    client: Arc<Node>,
    server: Arc<Node>,
    tasks: [AbortHandle; 2],
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.client.disconnect();
        self.server.disconnect();
    }
}

/// Makes one loopback connection, and drops connections from anyone else.
async fn connect(client: &Node, server: &Node) -> io::Result<()> {
    let listener = TcpListener::bind((net::Ipv4Addr::LOCALHOST, 0)).await?;
    let outgoing = net::TcpStream::connect(listener.local_addr()?)?;
    let incoming = loop {
        let (stream, from) = listener.accept().await?;
        if from == outgoing.local_addr()? {
            break stream.into_std()?;
        }
    };
    outgoing.set_nodelay(true)?;
    incoming.set_nodelay(true)?;
    server.talk_in(incoming);
    client.talk_out(server.id(), outgoing);
    Ok(())
}
