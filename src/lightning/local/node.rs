use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sha2::{Digest as _, Sha256};

use super::{
    Lie, Payments,
    book::{Book, Entry, Progress},
    gate::Gate,
};
use crate::{
    clock::{Clock, SystemClock},
    codec::hex,
    lightning::{
        BoxFuture, BoxStream, Description, InvoiceRequest, InvoiceStatus, KeyCustody, NodeError,
        NodeErrorKind, PayLimits, Payer, PayerProfile, PaymentStatus, Receiver, ReceiverProfile,
        settled::Listeners,
    },
    payment::{
        Invoice, InvoiceDescription, InvoiceDraft, Network, PaymentHash, Preimage, SigningKey,
    },
};

const NAME: &str = "the local node";

/// A node for tests: it signs invoices with a random key of its own and settles them by itself.
/// Always regtest; no money.
///
/// It is both [`Receiver`] and [`Payer`]: [`pay`](Payer::pay) settles an invoice that it made and
/// answers with the preimage. Any other invoice fails, and so does one whose time is over. It can
/// be told to be slow ([`pause`](Self::pause)), to be out of reach
/// ([`reachable`](Self::reachable)), to fail payments or leave them in flight
/// ([`payments`](Self::payments)), and to [`lie`](Self::lie).
///
/// Clones share one node. An unpaid invoice is forgotten an hour after its end, a paid one 32 days
/// after it.
///
/// If you wrap it in a receiver of your own, write `Receiver::profile(&node)`: both traits have a
/// method of that name, so `node.profile()` is ambiguous if both are in scope.
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
    inner: Arc<Inner>,
    clock: Arc<dyn Clock>,
    key_custody: KeyCustody,
}

struct Inner {
    key: SigningKey,
    gate: Gate,
    listeners: Listeners,
    book: Mutex<Book>,
}

impl LocalNode {
    /// A node with a random key, on the operating system's clock.
    ///
    /// # Panics
    ///
    /// Where the operating system has no randomness.
    #[must_use]
    pub fn new() -> Self {
        let key = SigningKey::random().expect("the operating system has randomness");
        let inner = Inner {
            key,
            gate: Gate::new(),
            listeners: Listeners::default(),
            book: Mutex::new(Book::new()),
        };
        Self {
            inner: Arc::new(inner),
            clock: Arc::new(SystemClock::new()),
            key_custody: KeyCustody::Exclusive,
        }
    }

    /// The same node on another clock. Clones that were made before keep theirs.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The same node as others could know its key: [`KeyCustody::Shared`], as of every hosted
    /// wallet. Clones that were made before are as they were.
    #[must_use]
    pub fn with_shared_key(mut self) -> Self {
        self.key_custody = KeyCustody::Shared;
        self
    }

    /// Settles an invoice of this node, as if somebody had paid it, and gives what that payer gets.
    /// It may have ended: a payment on its way can arrive late. Settling it again changes nothing.
    ///
    /// # Errors
    ///
    /// [`NodeErrorKind::Refused`] for a payment hash that is not this node's.
    pub fn settle(&self, payment_hash: PaymentHash) -> Result<Preimage, NodeError> {
        let mut book = self.book();
        let entry = book
            .entries
            .get_mut(payment_hash)
            .ok_or_else(|| refused("no invoice of this node has that payment hash"))?;
        let before = std::mem::replace(&mut entry.progress, Progress::Settled);
        let preimage = entry.preimage.clone();
        drop(book);
        if before != Progress::Settled {
            self.inner.listeners.tell(payment_hash);
        }
        Ok(preimage)
    }

    /// Ends a payment that is in flight: it failed, and no money left. Answers whether there was
    /// one.
    pub fn fail_payment(&self, payment_hash: PaymentHash) -> bool {
        match self.book().entries.get_mut(payment_hash) {
            Some(entry) if entry.progress == Progress::InFlight => {
                entry.progress = Progress::Failed;
                true
            }
            _ => false,
        }
    }

    /// The preimage of an invoice of this node, paid or not. Some hosted wallets tell it to anyone
    /// who asks: a server that takes a preimage from such a wallet for a payment serves for
    /// nothing.
    #[must_use]
    pub fn preimage_of(&self, payment_hash: PaymentHash) -> Option<Preimage> {
        self.book()
            .entry(payment_hash)
            .map(|entry| entry.preimage.clone())
    }

    /// How many invoices this node made.
    #[must_use]
    pub fn invoices_created(&self) -> u64 {
        self.book().created
    }

    /// From now on the node tells this lie, or, with `None`, the truth.
    pub fn lie(&self, lie: impl Into<Option<Lie>>) {
        self.book().lie = lie.into();
    }

    /// What happens to payments from now on.
    pub fn payments(&self, payments: Payments) {
        self.book().payments = payments;
    }

    /// While this is false every call is answered with [`NodeErrorKind::Unreachable`].
    pub fn reachable(&self, reachable: bool) {
        self.book().reachable = reachable;
    }

    /// From now on every call of [`Receiver`] and [`Payer`] waits, until [`resume`](Self::resume).
    /// One that is dropped while it waits has done nothing.
    pub fn pause(&self) {
        self.inner.gate.set_open(false);
    }

    /// Lets waiting calls go on.
    pub fn resume(&self) {
        self.inner.gate.set_open(true);
    }

    /// Ends once at least so many calls wait for [`resume`](Self::resume).
    pub async fn paused_calls(&self, calls: usize) {
        self.inner.gate.crowd(calls).await;
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.inner
            .book
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self) -> Result<MutexGuard<'_, Book>, NodeError> {
        self.inner.gate.pass().await;
        let book = self.book();
        if book.reachable {
            Ok(book)
        } else {
            Err(NodeError::new(
                NodeErrorKind::Unreachable,
                NAME,
                "it was told to be out of reach",
            ))
        }
    }

    fn make(
        &self,
        request: InvoiceRequest,
        mut book: MutexGuard<'_, Book>,
    ) -> Result<Invoice, NodeError> {
        if request.amount.is_zero() {
            return Err(refused("an invoice must ask for more than nothing"));
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
        let before = book.last.as_ref();
        let key = match book.lie {
            Some(lie) => lie
                .tell(
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
        book.entries
            .insert(invoice.payment_hash(), entry, now)
            .map_err(|_| refused("too many invoices are open"))?;
        book.created += 1;
        book.last = Some(preimage);
        Ok(invoice)
    }

    fn pay_own(
        &self,
        invoice: &Invoice,
        mut book: MutexGuard<'_, Book>,
    ) -> Result<PaymentStatus, NodeError> {
        if invoice.network() != Network::Regtest {
            return Err(refused("an invoice of regtest was expected"));
        }
        let (now, payments, lie) = (self.clock.now(), book.payments, book.lie);
        let Some(entry) = book
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
        drop(book);
        if settles {
            self.inner.listeners.tell(invoice.payment_hash());
        }
        if settles && payments == Payments::LoseAnswer {
            return Err(
                NodeError::new(NodeErrorKind::Unreachable, NAME, "it lost its answer").maybe_paid(),
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
            let book = self.answer().await?;
            Ok(book
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

/// It charges no fee and answers at once: a payment that stays in flight does not wait for
/// [`PayLimits::time`].
impl Payer for LocalNode {
    fn profile(&self) -> PayerProfile {
        PayerProfile::new(Network::Regtest, true)
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
            let book = self.answer().await?;
            Ok(book
                .entry(payment_hash)
                .map_or(PaymentStatus::Unknown, Entry::as_payment))
        })
    }
}

fn refused(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NodeError {
    NodeError::new(NodeErrorKind::Refused, NAME, why)
}
