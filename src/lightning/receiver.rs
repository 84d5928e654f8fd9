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

/// Makes invoices.
///
/// # Contract
///
/// - `create_invoice` makes a fresh invoice at each call, with a payment hash that was never used
///   before, for exactly the amount and the expiry asked, and never hands out one that it made
///   before.
/// - It carries exactly the description asked: the hash of [`Description::Hashed`], or the text
///   of [`Description::Text`] as it is, an empty text too.
/// - The caller sets the time limit. A dropped call may leave an invoice behind that nobody pays.
/// - Nothing that these methods answer contains the preimage of an invoice.
///
/// A paywall checks each invoice and offers none that was not asked for (503, and the log names the
/// fix). Amount, network and payee must always be exact. If it offers x402, the invoice commits to
/// the request and description and expiry must be exact too. If it offers L402 and MPP alone,
/// nothing binds these: another text is taken, and an expiry that is shorter than asked, down to a
/// minute; credentials then expire with the invoice that was made.
///
/// So a node that changes the text, or that ignores description hashes, breaks this contract, and
/// still sells over L402 and MPP only: `.dialects([DialectName::L402, DialectName::Mpp])` on the
/// paywall's builder. The conformance suite panics for such a node and says so.
pub trait Receiver: fmt::Debug + Send + Sync + 'static {
    /// What this node is. Asked once, when a paywall is built.
    fn profile(&self) -> ReceiverProfile;

    /// Makes a fresh invoice.
    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>>;

    /// What became of an invoice.
    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>>;

    /// The payment hashes of invoices as they settle, from now on; by default none. May skip, may
    /// repeat.
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

    fn settlements(&self) -> BoxStream<'_, PaymentHash> {
        (**self).settlements()
    }
}

fn _is_dyn_compatible(_: &dyn Receiver) {}

/// What is asked of a [`Receiver`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvoiceRequest {
    /// The exact amount.
    pub amount: Amount,
    /// What the invoice is for.
    pub description: Description,
    /// How long it may be paid, in whole seconds.
    pub expiry: Duration,
}

impl InvoiceRequest {
    /// A request for an invoice.
    #[must_use]
    pub const fn new(amount: Amount, description: Description, expiry: Duration) -> Self {
        Self {
            amount,
            description,
            expiry,
        }
    }
}

/// What an invoice is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Description {
    /// The invoice commits to the SHA-256 of these bytes (BOLT11 field `h`). The bytes themselves
    /// are given, because some nodes hash for themselves.
    Hashed(Vec<u8>),
    /// The invoice carries this text (BOLT11 field `d`), at most 639 bytes.
    Text(String),
}

/// What a receiving node is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceiverProfile {
    /// On which network it is paid.
    pub network: Network,
    /// Who else can make it sign, or learn its preimages.
    pub key_custody: KeyCustody,
    /// The compressed public key that signs its invoices, where it is known.
    pub public_key: Option<[u8; 33]>,
    /// It cannot make invoices for fractions of a satoshi, and refuses to. A paywall refuses a
    /// fixed price with such a fraction when it is set up, and rounds what a price function answers
    /// up to the next whole satoshi: never down.
    pub whole_sats_only: bool,
    /// It lives in this process, for tests and examples, and its money is pretend.
    pub in_process: bool,
}

impl ReceiverProfile {
    /// The two things that no node may leave unsaid.
    #[must_use]
    pub const fn new(network: Network, key_custody: KeyCustody) -> Self {
        Self {
            network,
            key_custody,
            public_key: None,
            whole_sats_only: false,
            in_process: false,
        }
    }
}

/// Who else can make a node sign invoices, or learns the preimages of unpaid ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyCustody {
    /// Nobody: an operator's own node.
    Exclusive,
    /// Others, such as every hosted wallet's host: the server asks whether an invoice is settled
    /// before it serves.
    Shared,
}

/// What became of an invoice.
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
