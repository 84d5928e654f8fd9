use std::{fmt, sync::Arc};

use sha2::{Digest as _, Sha256};

use super::{
    fault::{NAME, refused},
    incoming,
    paid::Attempts,
    payments,
    start::Started,
    wallet::{ANSWER, Wallet},
    wire::{Made, MakeInvoice},
};
use crate::{
    clock::{Clock as _, SystemClock},
    codec::hex,
    lightning::{
        BoxFuture, BoxStream, Description, InvoiceRequest, InvoiceStatus, KeyCustody, NodeError,
        PayLimits, Payer, PayerProfile, PaymentStatus, Receiver, ReceiverProfile, exact, payable,
        settled::Listeners,
    },
    payment::{Invoice, Network, PaymentHash},
};

/// A wallet behind Nostr Wallet Connect (NIP-47). It receives and pays, as far as the connection
/// allows.
///
/// | | |
/// |---|---|
/// | amounts | exact msat, if the wallet can: a trial invoice shows it. Otherwise whole satoshis only. |
/// | keys | always [`KeyCustody::Shared`], because the wallet's host can learn a preimage. |
/// | settlements | pushed, if the wallet sends `payment_received` notifications. Otherwise polled every 5 seconds with `list_transactions`. Without that method there are none. |
/// | fees | NIP-47 has no limit for them, so [`PayerProfile::keeps_fee_limit`] is false: set a budget in the wallet. |
/// | paying twice | asks `lookup_invoice` first, and pays nothing that the wallet knows as settled or pending. It also remembers in this process what it asked for. If an answer is lost, or a relay rejects the request, or the wallet says that the payment failed, and the wallet knows nothing of the payment, it stays in flight until 28 days after the invoice expires: a lightning payment can be under way for about 14 days. After a restart of this process only the wallet's own record protects against that. |
///
/// It needs the methods `get_info`, `make_invoice` and `lookup_invoice` to receive, and `get_info`,
/// `pay_invoice` and `lookup_invoice` to pay. Requests are encrypted with NIP-44, or with NIP-04 if
/// the wallet announces no other. If the URL names several relays, one is used at a time. Relays
/// that demand authentication (NIP-42) are not supported.
///
/// A task keeps the connection until all clones are dropped. If it is lost, requests without an
/// answer fail, and the task connects again after 1 second, later after at most 1 minute.
///
/// # Least privilege
///
/// Make a connection in the wallet that can only receive: without `pay_invoice`, and with a budget
/// of zero. [`ReceiverProfile::can_spend`] says whether the wallet lets this connection pay. Each method that pays counts
/// (`pay_..`, `multi_pay_..`, keysend), and so does `create_connection`.
///
/// # The trial invoice
///
/// [`connect`](super::NwcBuilder::connect) makes one to three invoices of 21 satoshis that expire after a minute.
/// They show the key that signs invoices, which x402 needs, and whether description hashes are
/// kept. The log says whether the wallet gives out the preimage of such an unpaid invoice.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_x402::lightning::{Nwc, Secret};
///
/// let url = Secret::from_env("NWC_URL")?; // as the wallet shows it
/// let wallet = Nwc::builder(url).connect().await?;
/// // The same as a node:
/// let node = tower_x402::lightning::connect(&std::env::var("NWC_URL")?).await?;
/// # let _ = (wallet, node);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Nwc {
    wallet: Arc<Wallet>,
    attempts: Arc<Attempts>,
    settled: Arc<Listeners>,
    found: Found,
}

/// What was found out when the wallet was connected.
#[derive(Clone, Copy, Debug)]
struct Found {
    network: Network,
    public_key: Option<[u8; 33]>,
    whole_sats_only: bool,
    receives: bool,
    pays: bool,
    can_spend: bool,
    notifies: bool,
    lists: bool,
}

impl Nwc {
    pub(super) fn new(started: Started) -> Self {
        let found = Found {
            network: started.network,
            public_key: started.public_key,
            whole_sats_only: started.whole_sats_only,
            receives: started.receives(),
            pays: started.can("pay_invoice") && started.can("lookup_invoice"),
            can_spend: started.can_spend(),
            notifies: started.notifies,
            lists: started.can("list_transactions"),
        };
        Self {
            wallet: Arc::new(started.wallet),
            attempts: Arc::new(Attempts::new()),
            settled: started.settled,
            found,
        }
    }

    pub(super) const fn receives(&self) -> bool {
        self.found.receives
    }

    pub(super) const fn pays(&self) -> bool {
        self.found.pays
    }

    async fn make(&self, request: InvoiceRequest) -> Result<Invoice, NodeError> {
        let Some(key) = self.found.public_key else {
            return Err(refused(
                "expected a connection that may use make_invoice and lookup_invoice",
            ));
        };
        if self.found.whole_sats_only && request.amount.as_whole_sat().is_none() {
            return Err(refused("expected an amount of whole satoshis"));
        }
        let (description, hashed) = match request.description {
            Description::Hashed(bytes) => (None, Some(hex::encode(Sha256::digest(bytes)))),
            Description::Text(text) => (Some(text), None),
        };
        let params = MakeInvoice {
            amount: request.amount.as_msat(),
            description,
            description_hash: hashed,
            expiry: request.expiry.as_secs(),
        };
        let made: Made = self
            .wallet
            .ask("make_invoice", params, ANSWER, ANSWER)
            .await?;
        let invoice = exact::invoice(NAME, &made.invoice, request.amount, self.found.network, key)?;
        exact::named(NAME, invoice, made.payment_hash.as_deref())
    }
}

impl fmt::Debug for Nwc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nwc")
            .field("network", &self.found.network)
            .field("receives", &self.found.receives)
            .field("pays", &self.found.pays)
            .finish_non_exhaustive()
    }
}

impl Receiver for Nwc {
    fn profile(&self) -> ReceiverProfile {
        let mut profile = ReceiverProfile::new(self.found.network, KeyCustody::Shared);
        profile.public_key = self.found.public_key;
        profile.whole_sats_only = self.found.whole_sats_only;
        profile.can_spend = Some(self.found.can_spend);
        profile.cannot_receive = (!self.found.receives).then_some(
            "this connection of Nostr Wallet Connect lacks a right: allow it make_invoice and lookup_invoice",
        );
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
            match self.wallet.lookup(payment_hash).await? {
                Some(found) => found.as_invoice(payment_hash, SystemClock::new().now()),
                None => Ok(InvoiceStatus::Unknown),
            }
        })
    }

    fn settlements(&self) -> BoxStream<'_, PaymentHash> {
        if self.found.notifies {
            Box::pin(self.settled.listen())
        } else if self.found.lists {
            incoming::stream(&self.wallet)
        } else {
            // It ends at once, because nobody can notify it.
            Box::pin(Listeners::default().listen())
        }
    }
}

impl Payer for Nwc {
    fn profile(&self) -> PayerProfile {
        PayerProfile::new(self.wallet.cipher.payer_id(), self.found.network, false)
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        limits: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        Box::pin(async move {
            payable::payable(NAME, invoice, self.found.network)?;
            if !self.found.pays {
                return Err(refused(
                    "expected a connection that may use pay_invoice and lookup_invoice",
                ));
            }
            payments::pay(&self.wallet, &self.attempts, invoice, limits).await
        })
    }

    fn lookup_payment(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        Box::pin(payments::status(&self.wallet, &self.attempts, payment_hash))
    }
}
