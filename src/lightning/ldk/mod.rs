//! A node of LDK Node that the application runs.
//!
//! The methods are those of [`ldk_node::Node`](https://docs.rs/ldk-node/0.7/ldk_node/struct.Node.html).

mod builder;
mod ready;
mod settled;

pub use self::builder::LdkNodeBuilder;

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use ldk_node::{
    NodeError as LdkError,
    bitcoin::hashes::{Hash as _, sha256},
    lightning::ln::channelmanager::PaymentId,
    lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescription, Description as Text, Sha256},
    payment::{PaymentDetails, PaymentDirection, PaymentKind, PaymentStatus as Progress},
};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    BoxFuture, BoxStream, Description, InvoiceRequest, InvoiceStatus, KeyCustody, NodeError,
    NodeErrorKind, PayLimits, Payer, PayerProfile, PaymentStatus, Receiver, ReceiverProfile,
    blocking::Blocking,
    exact, payable,
    remembered::{Forgettable, PAID, Remembered},
    sending::{Begin, Sending},
};
use crate::{
    boxed::BoxError,
    clock::{Clock as _, SystemClock, Timestamp},
    codec::hex,
    lock::lock,
    payment::{Amount, Invoice, Network, PayerId, PaymentHash},
};

const NAME: &str = "LDK Node";

/// How long to wait before the node is asked again: at first, and at most.
const FIRST_DELAY: Duration = Duration::from_millis(5);
const LAST_DELAY: Duration = Duration::from_millis(200);

/// The longest time that one call waits for a payment.
const LONGEST: Duration = Duration::from_secs(86_400);

/// An [`ldk_node::Node`] that the application runs. It receives and pays.
///
/// It never touches the node's event queue, because each event must be acknowledged by exactly one
/// party. The application goes on handling events as if this adapter were not there, and must
/// acknowledge them, or the queue grows.
///
/// | | |
/// |---|---|
/// | amounts | exact msat, for invoices and fees |
/// | inbound liquidity | if the usable channels together cannot receive an amount, `create_invoice` is an error that says how much they can |
/// | readiness | the node runs, and synced with the chain in the last hour |
/// | keys | the application's own: [`KeyCustody::Exclusive`], unless [the builder](LdkNodeBuilder::key_custody) says otherwise |
/// | settlements | polled from the node's list of payments, by default every second |
/// | time limit | the node itself retries for 10 seconds. After [`PayLimits::time`] the payment is reported as in flight. |
/// | paying twice | the node refuses it, also after a restart |
///
/// The methods of LDK Node block while it writes to its store. So they are called on threads of tokio
/// for blocking calls, at most 16 at a time.
///
/// The node must be started. It keeps every unpaid invoice in its store: remove old ones with
/// [`ldk_node::Node::remove_payment`]. It does not store when an invoice expires, so this adapter
/// remembers that. After a restart it reports an unpaid invoice as open even if it has expired.
///
/// # Least privilege
///
/// A node in the same process can always spend, so [`ReceiverProfile::can_spend`] is true. Keep
/// only little money on a node that receives.
///
/// ```no_run
/// # fn run(node: ldk_node::Node) -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use tower_x402::lightning::LdkNode;
///
/// let node = Arc::new(node);
/// node.start()?;
/// let receiver = LdkNode::builder(Arc::clone(&node)).build()?;
/// # let _ = receiver;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LdkNode {
    node: Arc<Blocking<ldk_node::Node>>,
    network: Network,
    public_key: [u8; 33],
    key_custody: KeyCustody,
    /// How long to wait before the node is asked for settled invoices again.
    pause: Duration,
    ends: Arc<Mutex<Remembered<End>>>,
    sending: Arc<Sending>,
}

/// When an invoice expires.
struct End(Timestamp);

impl Forgettable for End {
    fn forget_at(&self) -> Timestamp {
        self.0.saturating_add(PAID)
    }
}

impl LdkNode {
    async fn make(&self, request: InvoiceRequest) -> Result<Invoice, NodeError> {
        if request.amount.is_zero() {
            return Err(refused("expected an amount above zero"));
        }
        let description = match request.description {
            Description::Hashed(bytes) => {
                Bolt11InvoiceDescription::Hash(Sha256(sha256::Hash::hash(&bytes)))
            }
            Description::Text(text) => Bolt11InvoiceDescription::Direct(
                Text::new(text)
                    .map_err(|_| refused("expected a description of at most 639 bytes"))?,
            ),
        };
        let expiry = u32::try_from(request.expiry.as_secs())
            .map_err(|_| refused("expected an expiry below 2^32 seconds"))?;
        let (msat, key) = (request.amount.as_msat(), self.public_key);
        let made = self
            .node
            .call(move |node| {
                ready::running(&node.status())?;
                ready::can_receive(&node.list_channels(), request.amount)?;
                let receiving = node.bolt11_payment();
                receiving.receive(msat, &description, expiry).map_err(error)
            })
            .await??;
        let invoice = exact::invoice(NAME, &made.to_string(), request.amount, self.network, key)?;
        let end = End(invoice.expires_at());
        // If there is no room, it is only not known when the invoice expires.
        let now = SystemClock::new().now();
        let _ = lock(&self.ends).insert(invoice.payment_hash(), end, now);
        Ok(invoice)
    }

    async fn invoice_status(&self, payment_hash: PaymentHash) -> Result<InvoiceStatus, NodeError> {
        let found = self.details(payment_hash).await?;
        let Some(found) = found.filter(|found| found.direction == PaymentDirection::Inbound) else {
            return Ok(InvoiceStatus::Unknown);
        };
        let expired = || {
            let ends = lock(&self.ends);
            let end = ends.get(payment_hash);
            end.is_some_and(|end| end.0 <= SystemClock::new().now())
        };
        Ok(match found.status {
            Progress::Succeeded => InvoiceStatus::Settled,
            Progress::Pending if !expired() => InvoiceStatus::Open,
            Progress::Pending | Progress::Failed => InvoiceStatus::Expired,
        })
    }

    async fn payment_status(&self, payment_hash: PaymentHash) -> Result<PaymentStatus, NodeError> {
        let underway = self.sending.has(payment_hash);
        let found = self.details(payment_hash).await;
        let found = found.map_err(NodeError::maybe_paid)?;
        let found = found.filter(|found| found.direction == PaymentDirection::Outbound);
        let Some(found) = found.filter(|found| !underway || found.status != Progress::Failed)
        else {
            return Ok(if underway {
                PaymentStatus::InFlight
            } else {
                PaymentStatus::Unknown
            });
        };
        match found.status {
            Progress::Pending => Ok(PaymentStatus::InFlight),
            Progress::Failed => Ok(PaymentStatus::Failed),
            Progress::Succeeded => {
                let preimage = match found.kind {
                    PaymentKind::Bolt11 { preimage, .. }
                    | PaymentKind::Bolt11Jit { preimage, .. } => preimage,
                    _ => None,
                };
                let preimage = preimage.map(|preimage| hex::encode(preimage.0));
                let fee = Amount::from_msat(found.fee_paid_msat.unwrap_or_default());
                exact::paid(NAME, payment_hash, preimage.as_deref(), fee)
            }
        }
    }

    async fn details(
        &self,
        payment_hash: PaymentHash,
    ) -> Result<Option<PaymentDetails>, NodeError> {
        let id = PaymentId(*payment_hash.as_bytes());
        self.node.call(move |node| node.payment(&id)).await
    }

    async fn pay_once(
        &self,
        invoice: &Invoice,
        limits: PayLimits,
    ) -> Result<PaymentStatus, NodeError> {
        payable::payable(NAME, invoice, self.network)?;
        let end = Instant::now() + limits.time.min(LONGEST);
        let parsed: Bolt11Invoice = invoice
            .as_str()
            .parse()
            .map_err(|_| refused("expected an invoice with the features that BOLT11 requires"))?;
        // The node does not know of a payment before its method has returned.
        let underway = match self.sending.begin(invoice.payment_hash()) {
            Begin::Yours(underway) => underway,
            Begin::Underway => return Ok(PaymentStatus::InFlight),
            Begin::Full => return Err(refused("too many payments are under way: try again later")),
        };
        let Ok(turn) = timeout_at(end, self.node.turn()).await else {
            return Err(busy());
        };
        let max_fee = limits.max_fee.as_msat();
        let sending = self.node.call_now(turn?, move |node| {
            let mut route = node.config().route_parameters.unwrap_or_default();
            route.max_total_routing_fee_msat = Some(max_fee);
            let sent = node.bolt11_payment().send(&parsed, Some(route));
            drop(underway);
            sent
        });
        // After the time limit, or if the caller goes away, the node still gets the call.
        let Ok(sent) = timeout_at(end, sending).await else {
            return Ok(PaymentStatus::InFlight);
        };
        match sent.map_err(NodeError::maybe_paid)? {
            Ok(_) | Err(LdkError::DuplicatePayment) => {}
            Err(LdkError::PaymentSendingFailed) => return Ok(PaymentStatus::Failed),
            Err(refusal @ (LdkError::NotRunning | LdkError::InvalidInvoice)) => {
                return Err(error(refusal));
            }
            Err(unclear) => return Err(error(unclear).maybe_paid()),
        }
        let ended = timeout_at(end, self.ended(invoice.payment_hash())).await;
        ended.unwrap_or(Ok(PaymentStatus::InFlight))
    }

    /// Waits until a payment has ended, and returns its status.
    async fn ended(&self, payment_hash: PaymentHash) -> Result<PaymentStatus, NodeError> {
        let mut delay = FIRST_DELAY;
        loop {
            match self.payment_status(payment_hash).await? {
                PaymentStatus::InFlight | PaymentStatus::Unknown => {}
                status => return Ok(status),
            }
            sleep(delay).await;
            delay = LAST_DELAY.min(delay * 2);
        }
    }
}

impl fmt::Debug for LdkNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LdkNode")
            .field("public_key", &hex::encode(self.public_key))
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

impl Receiver for LdkNode {
    fn profile(&self) -> ReceiverProfile {
        let mut profile = ReceiverProfile::new(self.network, self.key_custody);
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
        Box::pin(self.invoice_status(payment_hash))
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), NodeError>> {
        Box::pin(async {
            let status = self.node.call(ldk_node::Node::status).await?;
            ready::ready(&status, SystemClock::new().now())
        })
    }

    fn settlements(&self) -> BoxStream<'_, PaymentHash> {
        settled::stream(&self.node, self.pause)
    }
}

impl Payer for LdkNode {
    fn profile(&self) -> PayerProfile {
        PayerProfile::new(PayerId::of(NAME, &self.public_key), self.network, true)
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        limits: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        Box::pin(self.pay_once(invoice, limits))
    }

    fn lookup_payment(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        Box::pin(self.payment_status(payment_hash))
    }
}

fn refused(why: impl Into<BoxError>) -> NodeError {
    NodeError::new(NodeErrorKind::Refused, NAME, why)
}

/// Returns the error for a payment that was not begun.
fn busy() -> NodeError {
    let why = "it is busy: no call could be made within the time limit";
    NodeError::new(NodeErrorKind::Unreachable, NAME, why)
}

fn error(error: LdkError) -> NodeError {
    match error {
        LdkError::NotRunning => NodeError::new(
            NodeErrorKind::Unreachable,
            NAME,
            "it is not running: call its start method",
        ),
        error => NodeError::new(NodeErrorKind::Refused, NAME, error),
    }
}
