//! Talking to a Lightning node.
//!
//! A [`Receiver`] makes invoices and tells what became of them; a [`Payer`] pays invoices and returns the preimage.

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "devnet")]
pub mod devnet;
mod error;
mod local;
mod remembered;
mod settled;

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use futures_core::Stream;

#[cfg(feature = "devnet")]
pub use self::devnet::{Devnet, DevnetNode};
pub use self::{
    error::{NodeError, NodeErrorKind},
    local::{Lie, LocalNode, Payments},
};
use crate::payment::{Amount, Invoice, Network, PaymentHash, Preimage};

/// A boxed future, so that the open traits can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A boxed stream.
pub type BoxStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;

/// Makes invoices.
///
/// # Contract
///
/// - `create_invoice` makes a fresh invoice at each call, with a payment hash that was never used before, for exactly the
///   amount asked, with exactly the description asked, and never hands out one that it made before.
/// - The caller sets the time limit. A dropped call may leave an invoice behind that nobody pays.
/// - Nothing that these methods answer contains the preimage of an invoice.
pub trait Receiver: fmt::Debug + Send + Sync + 'static {
    /// What this node is. Asked once, when a paywall is built.
    fn profile(&self) -> ReceiverProfile;

    /// Makes a fresh invoice.
    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>>;

    /// What became of an invoice.
    fn lookup_invoice(&self, payment_hash: PaymentHash) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>>;

    /// The payment hashes of invoices as they settle, from now on; by default none. May skip, may repeat.
    fn settlements(&self) -> BoxStream<'_, PaymentHash> {
        Box::pin(Nothing)
    }
}

/// Pays invoices.
///
/// # Contract
///
/// - A payer that cannot return the preimage must not implement this trait.
/// - Calling `pay` twice with one invoice never pays twice.
/// - [`NodeError::may_have_paid`] is true wherever money may have left.
pub trait Payer: fmt::Debug + Send + Sync + 'static {
    /// What this wallet is.
    fn profile(&self) -> PayerProfile;

    /// Pays the invoice, or says what became of an earlier attempt to pay it.
    fn pay<'a>(&'a self, invoice: &'a Invoice, limits: PayLimits) -> BoxFuture<'a, Result<PaymentStatus, NodeError>>;

    /// What became of a payment.
    fn lookup_payment(&self, payment_hash: PaymentHash) -> BoxFuture<'_, Result<PaymentStatus, NodeError>>;
}

impl<T: Receiver + ?Sized> Receiver for Arc<T> {
    fn profile(&self) -> ReceiverProfile {
        (**self).profile()
    }

    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        (**self).create_invoice(request)
    }

    fn lookup_invoice(&self, payment_hash: PaymentHash) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        (**self).lookup_invoice(payment_hash)
    }

    fn settlements(&self) -> BoxStream<'_, PaymentHash> {
        (**self).settlements()
    }
}

impl<T: Payer + ?Sized> Payer for Arc<T> {
    fn profile(&self) -> PayerProfile {
        (**self).profile()
    }

    fn pay<'a>(&'a self, invoice: &'a Invoice, limits: PayLimits) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        (**self).pay(invoice, limits)
    }

    fn lookup_payment(&self, payment_hash: PaymentHash) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        (**self).lookup_payment(payment_hash)
    }
}

fn _is_dyn_compatible(_: &dyn Receiver, _: &dyn Payer) {}

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
        Self { amount, description, expiry }
    }
}

/// What an invoice is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Description {
    /// The invoice commits to the SHA-256 of these bytes (BOLT11 field `h`). The bytes themselves are given, because some
    /// nodes hash for themselves.
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
    /// It cannot make invoices for fractions of a satoshi.
    pub whole_sats_only: bool,
    /// It lives in this process, for tests and examples, and its money is pretend.
    pub in_process: bool,
}

impl ReceiverProfile {
    /// The two things that no node may leave unsaid.
    #[must_use]
    pub const fn new(network: Network, key_custody: KeyCustody) -> Self {
        Self { network, key_custody, public_key: None, whole_sats_only: false, in_process: false }
    }
}

/// Who else can make a node sign invoices, or learns the preimages of unpaid ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyCustody {
    /// Nobody: an operator's own node.
    Exclusive,
    /// Others, such as every hosted wallet's host: the server asks whether an invoice is settled before it serves.
    Shared,
}

/// What became of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvoiceStatus {
    /// Its time is over and it was not paid.
    Expired,
    /// It can still be paid.
    Open,
    /// It was paid, and the money cannot go back.
    Settled,
    /// The node knows of no such invoice.
    Unknown,
}

/// What a paying wallet is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PayerProfile {
    /// On which network it pays.
    pub network: Network,
    /// Whether it keeps to [`PayLimits::max_fee`].
    pub keeps_fee_limit: bool,
}

impl PayerProfile {
    /// The two things that no wallet may leave unsaid.
    #[must_use]
    pub const fn new(network: Network, keeps_fee_limit: bool) -> Self {
        Self { network, keeps_fee_limit }
    }
}

/// How much a payment may cost beside its amount, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PayLimits {
    /// The most that routing may cost.
    pub max_fee: Amount,
    /// How long to try. A payment may still be in flight after that.
    pub time: Duration,
}

impl PayLimits {
    /// Limits of a payment.
    #[must_use]
    pub const fn new(max_fee: Amount, time: Duration) -> Self {
        Self { max_fee, time }
    }
}

/// What became of a payment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PaymentStatus {
    /// It failed for good: no money left.
    Failed,
    /// It may still succeed or fail.
    InFlight,
    /// It was paid.
    Paid {
        /// The proof.
        preimage: Preimage,
        /// What routing cost.
        fee: Amount,
    },
    /// The wallet knows of no such payment.
    Unknown,
}

/// A stream that ends at once.
struct Nothing;

impl Stream for Nothing {
    type Item = PaymentHash;

    fn poll_next(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<PaymentHash>> {
        std::task::Poll::Ready(None)
    }
}
