use std::{fmt, sync::Arc, time::Duration};

use super::{BoxFuture, NodeError};
use crate::payment::{Amount, Invoice, Network, PaymentHash, Preimage};

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
    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        limits: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>>;

    /// What became of a payment.
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
        Self {
            network,
            keeps_fee_limit,
        }
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
