use std::{
    fmt,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use super::{
    fault::{NAME, refused},
    payments,
    rpc::{self, ANSWER},
    settled,
    version::Version,
    wire::{Info, Invoices, Made, NewInvoice, Nothing, OfPayment},
};
use crate::lightning::{
    BoxFuture, BoxStream, Description, InvoiceRequest, InvoiceStatus, KeyCustody, NodeError,
    NodeErrorKind, PayLimits, Payer, PayerProfile, PaymentStatus, Receiver, ReceiverProfile, exact,
    payable, sending::Sending,
};
use crate::{
    codec::hex,
    payment::{Invoice, Network, PayerId, PaymentHash},
};

/// A Core Lightning node, reached through its unix socket. It receives and pays.
///
/// It pays with `xpay`, and needs Core Lightning 26.06 or newer for that: older versions can list a
/// payment as failed while they still try to make it. An older node only receives.
///
/// | | |
/// |---|---|
/// | amounts | exact msat, for invoices and fees |
/// | inbound liquidity | the node says when its channels cannot receive an amount. Then `create_invoice` is an error, whose text names the reason. |
/// | keys | the operator's own: [`KeyCustody::Exclusive`], unless [the builder](super::ClnBuilder::key_custody) says otherwise. Whoever may look up invoices learns the preimages of paid ones. |
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
/// let node = Cln::builder("/home/bitcoin/.lightning/bitcoin/lightning-rpc")
///     .connect()
///     .await?;
/// # let _ = node;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cln {
    pub(super) socket: Arc<Path>,
    pub(super) network: Network,
    pub(super) public_key: [u8; 33],
    pub(super) version: Version,
    pub(super) key_custody: KeyCustody,
    pub(super) private_channels: bool,
    pub(super) sending: Arc<Sending>,
    /// The `pay_index` of the last settled invoice that is known.
    pub(super) settled: Arc<AtomicU64>,
}

impl Cln {
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
            exposeprivatechannels: self.private_channels.then_some(true),
        };
        let made: Made = rpc::call(&self.socket, "invoice", params, Some(ANSWER)).await?;
        if let Some(why) = made.unpayable() {
            return Err(refused(why));
        }
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
        PayerProfile::new(PayerId::of(NAME, &self.public_key), self.network, true)
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        limits: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        Box::pin(async move {
            self.version.pays().map_err(refused)?;
            payable::payable(NAME, invoice, self.network)?;
            payments::pay(&self.socket, &self.sending, invoice, limits).await
        })
    }

    fn lookup_payment(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        Box::pin(async move {
            // It could list a payment as failed that is still being made.
            let known = self.version.pays();
            known.map_err(|why| refused(why).maybe_paid())?;
            payments::status(&self.socket, &self.sending, payment_hash).await
        })
    }
}
