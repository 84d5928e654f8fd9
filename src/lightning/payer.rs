use std::{fmt, sync::Arc, time::Duration};

use super::{BoxFuture, NodeError};
use crate::payment::{Amount, Invoice, Network, PayerId, PaymentHash, Preimage};

/// A wallet that pays invoices.
///
/// # Contract
///
/// - A wallet that cannot return the preimage must not implement this trait.
/// - Calling `pay` twice with one invoice never pays twice, also not after a restart of this process
///   or of the node. `lookup_payment` finds every payment that began.
///   `Nwc` is an exception after a restart of this process: it then relies on the wallet's record,
///   because its protocol does not say that a wallet pays an invoice once.
/// - [`PayerProfile::id`] is the same after every restart, and no other wallet has it. `Unknown` from
///   the wallet with the id of a payment means that this wallet was not asked to make it.
/// - An invoice that has expired, or is for another network, is not paid. The result is
///   [`PaymentStatus::Failed`], or an error after which no money has left.
/// - `pay` returns at most a minute after [`PayLimits::time`], also if the node does not answer.
/// - [`NodeError::may_have_paid`] is true for every error after which money may have left in this
///   call. It says nothing about earlier calls: [`lookup_payment`](Self::lookup_payment) does.
pub trait Payer: fmt::Debug + Send + Sync + 'static {
    /// Returns the properties of this wallet.
    fn profile(&self) -> PayerProfile;

    /// Pays the invoice, or returns the status of an earlier attempt to pay it.
    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        limits: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>>;

    /// Returns the status of a payment.
    fn lookup_payment(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<PaymentStatus, NodeError>>;
}

impl<T: Payer + ?Sized> Payer for Arc<T> {
    fn profile(&self) -> PayerProfile {
        (**self).profile()
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        limits: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        (**self).pay(invoice, limits)
    }

    fn lookup_payment(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        (**self).lookup_payment(payment_hash)
    }
}

fn _is_dyn_compatible(_: &dyn Payer) {}

/// The properties of a wallet that pays.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PayerProfile {
    /// Which wallet it is. A ledger keeps it with each payment, and asks no other wallet about it.
    pub id: PayerId,
    /// The network on which it pays.
    pub network: Network,
    /// Whether it never pays a fee above [`PayLimits::max_fee`].
    pub keeps_fee_limit: bool,
}

impl PayerProfile {
    /// Creates a profile from the properties that every wallet must state.
    #[must_use]
    pub const fn new(id: PayerId, network: Network, keeps_fee_limit: bool) -> Self {
        Self {
            id,
            network,
            keeps_fee_limit,
        }
    }
}

/// The limits of one payment: the routing fee, and the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PayLimits {
    /// The highest routing fee, on top of the invoice's amount.
    pub max_fee: Amount,
    /// How long to try. A payment may still be in flight after that.
    pub time: Duration,
}

impl PayLimits {
    /// Creates limits for one payment.
    #[must_use]
    pub const fn new(max_fee: Amount, time: Duration) -> Self {
        Self { max_fee, time }
    }
}

/// The status of a payment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PaymentStatus {
    /// It failed for good, and no money left the wallet.
    Failed,
    /// It may still succeed or fail.
    InFlight,
    /// It was paid.
    Paid {
        /// The proof of payment.
        preimage: Preimage,
        /// The routing fee that was paid.
        fee: Amount,
    },
    /// The wallet knows of no such payment.
    Unknown,
}
