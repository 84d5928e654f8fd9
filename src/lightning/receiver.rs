use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;

use super::{BoxFuture, BoxStream, NodeError};
use crate::payment::{Amount, Invoice, Network, PaymentHash};

/// A node that makes invoices and receives their payments.
///
/// # Contract
///
/// - Each call of `create_invoice` makes a new invoice, with a payment hash that was never used
///   before, and with exactly the requested amount and expiry. It never returns an earlier invoice.
///   If the node made one of another amount, `create_invoice` returns an error with
///   [`NodeErrorKind::BadAnswer`](super::NodeErrorKind::BadAnswer).
/// - The invoice has exactly the requested description: the hash of [`Description::Hashed`], or the
///   unchanged text of [`Description::Text`]. A node may refuse a text that is empty or has more
///   than 128 characters, with [`NodeErrorKind::Refused`](super::NodeErrorKind::Refused). It must
///   accept [`Description::Hashed`] without bytes, and of thousands of bytes.
/// - The caller sets the time limit, and drops a call that takes too long. A dropped call may leave
///   an invoice behind that nobody pays.
/// - No answer of these methods contains the preimage of an invoice.
///
/// A paywall checks each invoice too. If it differs from what was requested, the answer is 503 and the
/// log says how to fix it. Amount, network and payee must always be exact.
///
/// - If the paywall offers x402, description and expiry must be exact too, because the invoice
///   commits to the request.
/// - If it offers only L402 and MPP, no credential is bound to description and expiry. The text may
///   then differ, and the expiry may be shorter than requested, down to one minute. Credentials
///   expire with the invoice that was made.
///
/// A node that changes the text or ignores description hashes breaks this contract, and the
/// conformance suite panics for it. But such a node can still sell over L402 and MPP: call
/// `.dialects([DialectName::L402, DialectName::Mpp])` on the paywall's builder.
pub trait Receiver: fmt::Debug + Send + Sync + 'static {
    /// Returns the properties of this node. A paywall calls this once, when it is built.
    fn profile(&self) -> ReceiverProfile;

    /// Makes a new invoice.
    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>>;

    /// Returns the status of an invoice.
    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>>;

    /// Checks that this node can answer, without making an invoice. `Paywall::ready` calls it. The
    /// default looks up an invoice that does not exist. Override it if the node can tell more: that
    /// its wallet is locked, or that it is not synced to the chain.
    fn ready(&self) -> BoxFuture<'_, Result<(), NodeError>> {
        Box::pin(async move { self.lookup_invoice(NO_INVOICE).await.map(drop) })
    }

    /// Returns a stream of the payment hashes of invoices that settle from now on. It may miss or
    /// repeat some. The default is empty.
    fn settlements(&self) -> BoxStream<'_, PaymentHash> {
        Box::pin(Nothing)
    }
}

impl<T: Receiver + ?Sized> Receiver for Arc<T> {
    fn profile(&self) -> ReceiverProfile {
        (**self).profile()
    }

    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        (**self).create_invoice(request)
    }

    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        (**self).lookup_invoice(payment_hash)
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), NodeError>> {
        (**self).ready()
    }

    fn settlements(&self) -> BoxStream<'_, PaymentHash> {
        (**self).settlements()
    }
}

/// Nobody knows a preimage of it, so no invoice has it.
pub(crate) const NO_INVOICE: PaymentHash =
    PaymentHash::from_bytes(*b"tower-x402 asks if you are ready");

fn _is_dyn_compatible(_: &dyn Receiver) {}

/// A request for an invoice, to a [`Receiver`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvoiceRequest {
    /// The exact amount of the invoice.
    pub amount: Amount,
    /// The description: what the payment is for.
    pub description: Description,
    /// How long the invoice can be paid, in whole seconds.
    pub expiry: Duration,
}

impl InvoiceRequest {
    /// Creates a request for an invoice.
    #[must_use]
    pub const fn new(amount: Amount, description: Description, expiry: Duration) -> Self {
        Self {
            amount,
            description,
            expiry,
        }
    }
}

/// The description of a requested invoice: what the payment is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Description {
    /// The invoice holds the SHA-256 hash of these bytes (BOLT11 field `h`). This variant holds the
    /// bytes and not the hash, because some nodes compute the hash themselves.
    Hashed(Vec<u8>),
    /// The invoice holds this text (BOLT11 field `d`), at most 639 bytes.
    Text(String),
}

/// The properties of a node that receives payments.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceiverProfile {
    /// The network on which it is paid.
    pub network: Network,
    /// Who else can make it sign invoices, or learn its preimages.
    pub key_custody: KeyCustody,
    /// The compressed public key that signs its invoices, if it is known. x402 needs it.
    pub public_key: Option<[u8; 33]>,
    /// Whether it refuses invoices for fractions of a satoshi. A paywall then refuses a fixed price
    /// with a fraction when it is built. It rounds the result of a price function up to the next
    /// whole satoshi, never down.
    pub whole_sats_only: bool,
    /// Whether it runs inside this process, for tests and examples, without real money.
    pub in_process: bool,
    /// Whether its credential can also spend, if the node can tell. A paywall needs no right to
    /// spend.
    pub can_spend: Option<bool>,
    /// Why its credential cannot make and look up invoices, if the node can tell: the missing
    /// rights, and how to get them. A paywall of such a node is then not built.
    pub cannot_receive: Option<&'static str>,
}

impl ReceiverProfile {
    /// Creates a profile from the two properties that every node must state.
    #[must_use]
    pub const fn new(network: Network, key_custody: KeyCustody) -> Self {
        Self {
            network,
            key_custody,
            public_key: None,
            whole_sats_only: false,
            in_process: false,
            can_spend: None,
            cannot_receive: None,
        }
    }
}

/// Who else can make a node sign invoices, or learn the preimages of unpaid ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyCustody {
    /// Nobody: the node is the operator's own.
    Exclusive,
    /// Others can, such as the host of a hosted wallet. The server then asks the node whether an
    /// invoice is settled before it serves a request.
    Shared,
}

/// The status of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvoiceStatus {
    /// It has expired and was not paid.
    Expired,
    /// It can still be paid.
    Open,
    /// It was paid, and the money cannot go back.
    Settled,
    /// The node knows of no such invoice.
    Unknown,
}

/// A stream that ends at once.
struct Nothing;

impl Stream for Nothing {
    type Item = PaymentHash;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<PaymentHash>> {
        Poll::Ready(None)
    }
}
