use std::{fmt, sync::Arc};

use bitcoin::hashes::{Hash as _, sha256};
use lightning::{
    bolt11_invoice::{Bolt11Invoice, Bolt11InvoiceDescription, Description as Text, Sha256},
    ln::channelmanager::{
        Bolt11InvoiceParameters, Bolt11PaymentError, PaymentId, Retry, RetryableSendFailure,
    },
    routing::router::RouteParametersConfig,
};
use tokio::{sync::watch, time::timeout};

use super::{Running, fault::NAME, node::Node, traffic::Start};
use crate::{
    clock::{Clock as _, SystemClock},
    lightning::{
        BoxFuture, BoxStream, Description, InvoiceRequest, InvoiceStatus, KeyCustody, NodeError,
        NodeErrorKind, PayLimits, Payer, PayerProfile, PaymentStatus, Receiver, ReceiverProfile,
    },
    payment::{Amount, Invoice, Network, PayerId, PaymentHash},
};

/// One of the two nodes of a [`Devnet`](super::Devnet), which can receive and pay. Clones are the
/// same node. **Its money is not real.**
#[derive(Clone)]
pub struct DevnetNode {
    name: &'static str,
    node: Arc<Node>,
    running: Arc<Running>,
}

impl DevnetNode {
    pub(super) fn new(name: &'static str, running: &Arc<Running>, node: &Arc<Node>) -> Self {
        Self {
            name,
            node: Arc::clone(node),
            running: Arc::clone(running),
        }
    }

    /// Returns the [`Devnet`](super::Devnet) of this node.
    #[must_use]
    pub fn devnet(&self) -> super::Devnet {
        super::Devnet(Arc::clone(&self.running))
    }

    /// Returns how much this node can pay.
    #[must_use]
    pub fn spendable(&self) -> Amount {
        Amount::from_msat(
            self.node
                .manager()
                .list_channels()
                .iter()
                .map(|channel| channel.outbound_capacity_msat)
                .sum(),
        )
    }

    fn make(&self, request: InvoiceRequest) -> Result<Invoice, NodeError> {
        if request.amount.is_zero() {
            return Err(self.refused("expected an amount above zero"));
        }
        let description = match request.description {
            Description::Hashed(bytes) => {
                Bolt11InvoiceDescription::Hash(Sha256(sha256::Hash::hash(&bytes)))
            }
            Description::Text(text) => {
                let text = Text::new(text)
                    .map_err(|_| self.refused("expected a description of at most 639 bytes"))?;
                Bolt11InvoiceDescription::Direct(text)
            }
        };
        let expiry = u32::try_from(request.expiry.as_secs())
            .map_err(|_| self.refused("expected an expiry below 2^32 seconds"))?;
        let made = self
            .node
            .manager()
            .create_bolt11_invoice(Bolt11InvoiceParameters {
                amount_msats: Some(request.amount.as_msat()),
                description,
                invoice_expiry_delta_secs: Some(expiry),
                ..Bolt11InvoiceParameters::default()
            });
        let made = made.map_err(|error| self.refused(format!("{error:?}")))?;
        let invoice = Invoice::parse(&made.to_string())
            .map_err(|error| self.error(NodeErrorKind::BadAnswer, error))?;
        if self.node.traffic.invoiced(&invoice) {
            Ok(invoice)
        } else {
            Err(self.refused("too many open invoices"))
        }
    }

    async fn pay_once(
        &self,
        invoice: &Invoice,
        max_fee: Amount,
    ) -> Result<PaymentStatus, NodeError> {
        if let Some(earlier) = self.node.traffic.attempt(invoice.payment_hash()) {
            return Ok(ended(earlier).await);
        }
        let Ok(permit) = Arc::clone(&self.node.permits).acquire_owned().await else {
            return Ok(PaymentStatus::Failed);
        };
        if SystemClock::new().now() >= invoice.expires_at() {
            return Ok(PaymentStatus::Failed);
        }
        match self.node.traffic.start(invoice, permit) {
            Start::Already(earlier) => Ok(ended(earlier).await),
            Start::Full => Err(self.refused("too many remembered payments: try again later")),
            Start::Send(status) => {
                self.send(invoice, max_fee)?;
                Ok(ended(status).await)
            }
        }
    }

    fn send(&self, invoice: &Invoice, max_fee: Amount) -> Result<(), NodeError> {
        let payment_hash = invoice.payment_hash();
        let Ok(bolt11) = invoice.as_str().parse::<Bolt11Invoice>() else {
            self.node.traffic.failed(payment_hash);
            return Err(self.refused("expected an invoice with the features that BOLT11 requires"));
        };
        let route =
            RouteParametersConfig::default().with_max_total_routing_fee_msat(max_fee.as_msat());
        let id = PaymentId(*payment_hash.as_bytes());
        let sent = self.node.manager().pay_for_bolt11_invoice(
            &bolt11,
            id,
            None,
            route,
            Retry::Attempts(2),
        );
        self.node.flush();
        match sent {
            Ok(()) => Ok(()),
            Err(Bolt11PaymentError::SendingFailed(RetryableSendFailure::DuplicatePayment)) => {
                Err(self
                    .refused("this payment is already in flight")
                    .maybe_paid())
            }
            Err(_) => {
                self.node.traffic.failed(payment_hash);
                Ok(())
            }
        }
    }

    fn refused(&self, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NodeError {
        self.error(NodeErrorKind::Refused, why)
    }

    fn error(
        &self,
        kind: NodeErrorKind,
        why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> NodeError {
        NodeError::new(kind, NAME, why)
    }
}

impl fmt::Debug for DevnetNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevnetNode")
            .field("name", &self.name)
            .field("id", &self.node.id())
            .finish_non_exhaustive()
    }
}

impl Receiver for DevnetNode {
    fn profile(&self) -> ReceiverProfile {
        let mut profile = ReceiverProfile::new(Network::Regtest, KeyCustody::Exclusive);
        profile.in_process = true;
        profile.public_key = Some(self.node.id().serialize());
        profile
    }

    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        Box::pin(async move { self.make(request) })
    }

    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        Box::pin(async move { Ok(self.node.traffic.invoice(payment_hash)) })
    }

    fn settlements(&self) -> BoxStream<'_, PaymentHash> {
        Box::pin(self.node.traffic.listeners.listen())
    }
}

/// Pays each invoice once, unless an earlier attempt failed.
impl Payer for DevnetNode {
    fn profile(&self) -> PayerProfile {
        let id = PayerId::of(NAME, &self.node.id().serialize());
        PayerProfile::new(id, Network::Regtest, true)
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        limits: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        Box::pin(async move {
            if invoice.network() != Network::Regtest {
                return Err(
                    self.refused("expected a regtest invoice: this node's money is not real")
                );
            }
            if invoice.amount().is_none() {
                return Err(self.refused("expected an invoice with an amount"));
            }
            match timeout(limits.time, self.pay_once(invoice, limits.max_fee)).await {
                Ok(outcome) => outcome,
                Err(_) => Ok(match self.node.traffic.payment(invoice.payment_hash()) {
                    // It was still waiting for a free slot, and was never sent.
                    PaymentStatus::Unknown => PaymentStatus::Failed,
                    status => status,
                }),
            }
        })
    }

    fn lookup_payment(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        Box::pin(async move { Ok(self.node.traffic.payment(payment_hash)) })
    }
}

/// Waits until a payment has ended, and returns its status.
async fn ended(mut status: watch::Receiver<PaymentStatus>) -> PaymentStatus {
    status
        .wait_for(|status| !matches!(status, PaymentStatus::InFlight))
        .await
        .map_or(PaymentStatus::InFlight, |ended| ended.clone())
}
