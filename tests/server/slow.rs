//! Stores and nodes that are slow, too late, or fail.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tower_x402::{
    Invoice, PaymentHash,
    clock::Timestamp,
    lightning::{BoxFuture, InvoiceRequest, InvoiceStatus, NodeError, Receiver, ReceiverProfile},
    replay::{
        Consumption, ConsumptionKey, Durability, ReleaseReason, ReplayStore, StoreError,
        StoreErrorKind, StoreId, UseId, UseRequest,
    },
};

/// Does what the inner one does, but pends before and after, and can be told to come late or to
/// fail.
#[derive(Clone, Debug)]
pub(crate) struct Slow<T> {
    inner: T,
    mood: Arc<Mood>,
}

#[derive(Debug, Default)]
struct Mood {
    hesitates: AtomicBool,
    is_late: AtomicBool,
    fails: AtomicBool,
    fails_at_once: AtomicBool,
    hangs: AtomicBool,
    calls: AtomicUsize,
    refuses: AtomicBool,
    releases: AtomicUsize,
}

/// Longer than any limit of a test.
pub(crate) const LATE: Duration = Duration::from_secs(3_600);

impl<T> Slow<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self {
            inner,
            mood: Arc::default(),
        }
    }

    /// Pends twice before and twice after each call.
    pub(crate) fn hesitates(self) -> Self {
        self.mood.hesitates.store(true, Ordering::SeqCst);
        self
    }

    /// Does at once what it is asked, and answers an hour later.
    pub(crate) fn answers_late(&self, late: bool) {
        self.mood.is_late.store(late, Ordering::SeqCst);
    }

    /// Does what it is asked, and answers with an error.
    pub(crate) fn fails(&self, fails: bool) {
        self.mood.fails.store(fails, Ordering::SeqCst);
    }

    /// Answers with an error and does nothing: stores only.
    pub(crate) fn fails_at_once(&self, fails: bool) {
        self.mood.fails_at_once.store(fails, Ordering::SeqCst);
    }

    /// Says at once that nothing was taken: stores only.
    pub(crate) fn refuses(&self, refuses: bool) {
        self.mood.refuses.store(refuses, Ordering::SeqCst);
    }

    /// How many uses were given back: stores only.
    pub(crate) fn releases(&self) -> usize {
        self.mood.releases.load(Ordering::SeqCst)
    }

    /// Neither does anything nor answers.
    pub(crate) fn hangs(&self, hangs: bool) {
        self.mood.hangs.store(hangs, Ordering::SeqCst);
    }

    pub(crate) fn calls(&self) -> usize {
        self.mood.calls.load(Ordering::SeqCst)
    }

    fn disk_is_full() -> StoreError {
        StoreError::new(
            StoreErrorKind::Unavailable,
            "the test's store",
            "the disk is full",
        )
    }

    async fn before(&self) {
        self.mood.calls.fetch_add(1, Ordering::SeqCst);
        if self.mood.hesitates.load(Ordering::SeqCst) {
            pend(2).await;
        }
        if self.mood.hangs.load(Ordering::SeqCst) {
            std::future::pending().await
        }
    }

    /// Whether to fail.
    async fn after(&self) -> bool {
        if self.mood.is_late.load(Ordering::SeqCst) {
            tokio::time::sleep(LATE).await;
        }
        if self.mood.hesitates.load(Ordering::SeqCst) {
            pend(2).await;
        }
        self.mood.fails.load(Ordering::SeqCst)
    }
}

/// Pends so many times.
pub(crate) async fn pend(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

impl<T: ReplayStore> ReplayStore for Slow<T> {
    fn id(&self) -> StoreId {
        self.inner.id()
    }

    fn created_at(&self) -> Timestamp {
        self.inner.created_at()
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        Box::pin(async move {
            self.before().await;
            if self.mood.fails_at_once.load(Ordering::SeqCst) {
                return Err(Self::disk_is_full());
            }
            if self.mood.refuses.load(Ordering::SeqCst) {
                return Err(StoreError::new(
                    StoreErrorKind::Refused,
                    "the test's store",
                    "too many are waiting",
                ));
            }
            let answer = self.inner.consume(request).await;
            if self.after().await {
                Err(Self::disk_is_full())
            } else {
                answer
            }
        })
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.before().await;
            match self.mood.fails_at_once.load(Ordering::SeqCst) {
                true => Err(Self::disk_is_full()),
                false => self.inner.ready().await,
            }
        })
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        self.mood.releases.fetch_add(1, Ordering::SeqCst);
        self.inner.release(key, use_id, why);
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }
}

impl<T: Receiver> Receiver for Slow<T> {
    fn profile(&self) -> ReceiverProfile {
        self.inner.profile()
    }

    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        Box::pin(async move {
            self.before().await;
            let answer = self.inner.create_invoice(request).await;
            self.after().await;
            answer
        })
    }

    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        Box::pin(async move {
            self.before().await;
            let answer = self.inner.lookup_invoice(payment_hash).await;
            self.after().await;
            answer
        })
    }
}
