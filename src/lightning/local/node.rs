use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use sha2::{Digest as _, Sha256};

use super::{
    Lie, Payments,
    gate::Gate,
    state::{Entry, LocalState, Progress},
};
use crate::{
    clock::{Clock, SystemClock},
    codec::hex,
    lightning::{
        BoxFuture, BoxStream, Description, InvoiceRequest, InvoiceStatus, KeyCustody, NodeError,
        NodeErrorKind, PayLimits, Payer, PayerProfile, PaymentStatus, Receiver, ReceiverProfile,
        settled::Listeners,
    },
    lock::lock,
    payment::{
        Invoice, InvoiceDescription, InvoiceDraft, Network, PayerId, PaymentHash, Preimage,
        SigningKey,
    },
};

const NAME: &str = "the local node";

/// A node for tests that signs invoices with a random key and settles them by itself. It is always
/// on regtest and moves no money.
///
/// It is both [`Receiver`] and [`Payer`]: [`pay`](Payer::pay) settles an invoice that this node
/// made and returns the preimage. It fails for any other invoice, and for an expired one.
///
/// A test can make the node slow ([`pause`](Self::pause)) or unreachable
/// ([`reachable`](Self::reachable)). It can also make it fail payments or leave them in flight
/// ([`payments`](Self::payments)), and give false answers ([`lie`](Self::lie)).
///
/// Clones share one node. It forgets an unpaid invoice one hour after it expired, and a paid one 32
/// days after it expired.
///
/// If you wrap it in your own receiver, write `Receiver::profile(&node)`. Both traits have a method
/// of that name, so `node.profile()` is ambiguous if both are in scope.
///
/// ```
/// use std::time::Duration;
/// use tower_x402::{
///     Amount,
///     lightning::{Description, InvoiceRequest, InvoiceStatus, LocalNode, PayLimits, Payer, PaymentStatus, Receiver},
/// };
///
/// # tokio_test::block_on(async {
/// let node = LocalNode::new();
/// let what = Description::Text("a weather report".to_owned());
/// let invoice = node.create_invoice(InvoiceRequest::new(Amount::from_sat(10), what, Duration::from_secs(60))).await?;
/// assert_eq!(node.lookup_invoice(invoice.payment_hash()).await?, InvoiceStatus::Open);
///
/// let limits = PayLimits::new(Amount::ZERO, Duration::from_secs(5));
/// let PaymentStatus::Paid { preimage, .. } = node.pay(&invoice, limits).await? else { panic!("not paid") };
/// assert!(invoice.payment_hash().is_of(&preimage));
/// assert_eq!(node.lookup_invoice(invoice.payment_hash()).await?, InvoiceStatus::Settled);
/// # Ok::<_, tower_x402::lightning::NodeError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct LocalNode {
    inner: Arc<LocalNodeInner>,
    clock: Arc<dyn Clock>,
    key_custody: KeyCustody,
}

struct LocalNodeInner {
    key: SigningKey,
    gate: Gate,
    listeners: Listeners,
    state: Mutex<LocalState>,
}

impl LocalNode {
    /// Creates a node with a random key, on the operating system's clock.
    ///
    /// # Panics
    ///
    /// If the operating system has no randomness.
    #[must_use]
    pub fn new() -> Self {
        let key = SigningKey::random().expect("the operating system has randomness");
        let inner = LocalNodeInner {
            key,
            gate: Gate::new(),
            listeners: Listeners::default(),
            state: Mutex::new(LocalState::new()),
        };
        Self {
            inner: Arc::new(inner),
            clock: Arc::new(SystemClock::new()),
            key_custody: KeyCustody::Exclusive,
        }
    }

    /// Sets the clock. Clones that were made before keep theirs.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the key custody to [`KeyCustody::Shared`], as for a hosted wallet. Clones that were
    /// made before do not change.
    #[must_use]
    pub fn with_shared_key(mut self) -> Self {
        self.key_custody = KeyCustody::Shared;
        self
    }

    /// Settles an invoice of this node, as if somebody had paid it, and returns the preimage.
    ///
    /// The invoice may have expired, because a real payment can arrive late. Settling it again
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// [`NodeErrorKind::Refused`] if no invoice of this node has this payment hash.
    pub fn settle(&self, payment_hash: PaymentHash) -> Result<Preimage, NodeError> {
        let mut state = self.state();
        let entry = state
            .entries
            .get_mut(payment_hash)
            .ok_or_else(|| refused("expected the payment hash of an invoice of this node"))?;
        let before = std::mem::replace(&mut entry.progress, Progress::Settled);
        let preimage = entry.preimage.clone();
        drop(state);
        if before != Progress::Settled {
            self.inner.listeners.notify(payment_hash);
        }
        Ok(preimage)
    }

    /// Makes a payment that is in flight fail, so that no money leaves. Returns whether there was
    /// one.
    pub fn fail_payment(&self, payment_hash: PaymentHash) -> bool {
        match self.state().entries.get_mut(payment_hash) {
            Some(entry) if entry.progress == Progress::InFlight => {
                entry.progress = Progress::Failed;
                true
            }
            _ => false,
        }
    }

    /// Returns the preimage of an invoice of this node, paid or not.
    ///
    /// Some hosted wallets reveal it to anyone who asks. A server that accepts such a preimage as
    /// proof serves for nothing.
    #[must_use]
    pub fn preimage_of(&self, payment_hash: PaymentHash) -> Option<Preimage> {
        self.state()
            .entry(payment_hash)
            .map(|entry| entry.preimage.clone())
    }

    /// Returns how many invoices this node has made.
    #[must_use]
    pub fn invoices_created(&self) -> u64 {
        self.state().created
    }

    /// Sets the false answer that the node gives from now on. `None` makes it honest again.
    pub fn lie(&self, lie: impl Into<Option<Lie>>) {
        self.state().lie = lie.into();
    }

    /// Sets what happens to payments from now on.
    pub fn payments(&self, payments: Payments) {
        self.state().payments = payments;
    }

    /// Sets whether the node is reachable. If it is not, every call fails with
    /// [`NodeErrorKind::Unreachable`].
    pub fn reachable(&self, reachable: bool) {
        self.state().reachable = reachable;
    }

    /// Makes every call of [`Receiver`] and [`Payer`] wait until [`resume`](Self::resume). A call
    /// that is dropped while it waits has no effect.
    pub fn pause(&self) {
        self.inner.gate.set_open(false);
    }

    /// Lets waiting calls continue.
    pub fn resume(&self) {
        self.inner.gate.set_open(true);
    }

    /// Waits until at least `calls` calls wait for [`resume`](Self::resume).
    pub async fn paused_calls(&self, calls: usize) {
        self.inner.gate.crowd(calls).await;
    }

    fn state(&self) -> MutexGuard<'_, LocalState> {
        lock(&self.inner.state)
    }

    async fn answer(&self) -> Result<MutexGuard<'_, LocalState>, NodeError> {
        self.inner.gate.pass().await;
        let state = self.state();
        if state.reachable {
            Ok(state)
        } else {
            Err(NodeError::new(
                NodeErrorKind::Unreachable,
                NAME,
                "it was made unreachable with .reachable(false)",
            ))
        }
    }

    fn make(
        &self,
        request: InvoiceRequest,
        mut state: MutexGuard<'_, LocalState>,
    ) -> Result<Invoice, NodeError> {
        if request.amount.is_zero() {
            return Err(refused("expected an amount above zero"));
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|_| refused("the operating system has no randomness"))?;
        let mut preimage = Preimage::from_bytes(secret);
        let now = self.clock.now();
        let mut draft = InvoiceDraft {
            network: Network::Regtest,
            amount: request.amount,
            payment_hash: preimage.payment_hash(),
            description: match request.description {
                Description::Hashed(bytes) => {
                    InvoiceDescription::Hash(Sha256::digest(bytes).into())
                }
                Description::Text(text) => InvoiceDescription::Text(text),
            },
            created_at: now,
            expiry: Duration::from_secs(request.expiry.as_secs()),
        };
        let before = state.last.as_ref();
        let key = match state.lie {
            Some(lie) => lie
                .apply(
                    &mut draft,
                    &self.inner.key,
                    before.map(Preimage::payment_hash),
                )
                .map_err(refused)?,
            None => self.inner.key.clone(),
        };
        if let Some(last) = before.filter(|last| last.payment_hash() == draft.payment_hash) {
            preimage = last.clone();
        }
        let invoice = draft.sign(&key).map_err(refused)?;
        let entry = Entry::new(preimage.clone(), &invoice);
        state
            .entries
            .insert(invoice.payment_hash(), entry, now)
            .map_err(|_| refused("too many open invoices"))?;
        state.created += 1;
        state.last = Some(preimage);
        Ok(invoice)
    }

    fn pay_own(
        &self,
        invoice: &Invoice,
        mut state: MutexGuard<'_, LocalState>,
    ) -> Result<PaymentStatus, NodeError> {
        if invoice.network() != Network::Regtest {
            return Err(refused("expected a regtest invoice"));
        }
        let (now, payments, lie) = (self.clock.now(), state.payments, state.lie);
        let Some(entry) = state
            .entries
            .get_mut(invoice.payment_hash())
            .filter(|entry| entry.is_of(invoice))
        else {
            return Ok(PaymentStatus::Failed);
        };
        let settles = match entry.progress {
            Progress::InFlight | Progress::Settled => false,
            Progress::Failed | Progress::Open if now >= entry.end => {
                return Ok(PaymentStatus::Failed);
            }
            Progress::Failed | Progress::Open => {
                entry.progress = match payments {
                    Payments::Fail => Progress::Failed,
                    Payments::StayInFlight => Progress::InFlight,
                    Payments::LoseAnswer | Payments::Succeed => Progress::Settled,
                };
                entry.progress == Progress::Settled
            }
        };
        let status = entry.as_payment();
        drop(state);
        if settles {
            self.inner.listeners.notify(invoice.payment_hash());
        }
        if settles && payments == Payments::LoseAnswer {
            return Err(
                NodeError::new(NodeErrorKind::Unreachable, NAME, "the answer was lost")
                    .maybe_paid(),
            );
        }
        Ok(match status {
            PaymentStatus::Paid { fee, .. } if lie == Some(Lie::Preimage) => PaymentStatus::Paid {
                preimage: Preimage::from_bytes([0; 32]),
                fee,
            },
            status => status,
        })
    }
}

impl Default for LocalNode {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LocalNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalNode")
            .field("public_key", &hex::encode(self.inner.key.public_key()))
            .field("key_custody", &self.key_custody)
            .finish_non_exhaustive()
    }
}

impl Receiver for LocalNode {
    fn profile(&self) -> ReceiverProfile {
        let mut profile = ReceiverProfile::new(Network::Regtest, self.key_custody);
        profile.in_process = true;
        profile.public_key = Some(self.inner.key.public_key());
        profile
    }

    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        Box::pin(async move { self.make(request, self.answer().await?) })
    }

    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        Box::pin(async move {
            let state = self.answer().await?;
            Ok(state
                .entry(payment_hash)
                .map_or(InvoiceStatus::Unknown, |entry| {
                    entry.as_invoice(self.clock.now())
                }))
        })
    }

    fn settlements(&self) -> BoxStream<'_, PaymentHash> {
        Box::pin(self.inner.listeners.listen())
    }
}

/// Pays without a fee and answers at once. A payment that stays in flight does not wait for
/// [`PayLimits::time`].
impl Payer for LocalNode {
    fn profile(&self) -> PayerProfile {
        let id = PayerId::of(NAME, &self.inner.key.public_key());
        PayerProfile::new(id, Network::Regtest, true)
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        _: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        Box::pin(async move { self.pay_own(invoice, self.answer().await?) })
    }

    fn lookup_payment(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        Box::pin(async move {
            let state = self.answer().await?;
            Ok(state
                .entry(payment_hash)
                .map_or(PaymentStatus::Unknown, Entry::as_payment))
        })
    }
}

fn refused(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NodeError {
    NodeError::new(NodeErrorKind::Refused, NAME, why)
}
