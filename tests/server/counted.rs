//! A store that counts what it is asked, and that can be told to fail.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tower_x402::{
    MemoryStore,
    clock::Timestamp,
    lightning::BoxFuture,
    replay::{
        Consumption, ConsumptionKey, Durability, RecordKey, Records, ReleaseReason, ReplayStore,
        Serving, StoreError, StoreErrorKind, StoreId, UseId, UseRequest,
    },
};

/// Clones share the counts.
#[derive(Clone, Debug)]
pub(crate) struct Counted(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<MemoryStore>,
    waited: AtomicUsize,
    writes: AtomicUsize,
    later: AtomicUsize,
    fault: Mutex<Fault>,
    calls_of_fault: AtomicUsize,
}

/// What a store was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Calls whose answer a request waits for.
    pub(crate) waited: usize,
    /// Those of them that wrote something.
    pub(crate) writes: usize,
    /// Calls that the store carries out later, and that nobody waits for.
    pub(crate) later: usize,
}

/// How a store fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Works,
    Down,
    Hangs,
    /// Writes, and then says that it did not.
    Lost,
    Full,
    /// Fails every second call, and the next one first.
    Flaps,
}

impl Counted {
    pub(crate) fn new(store: Arc<MemoryStore>) -> Self {
        Self(Arc::new(Inner {
            store,
            waited: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            later: AtomicUsize::new(0),
            fault: Mutex::new(Fault::Works),
            calls_of_fault: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn fails(&self, fault: Fault) {
        *self.0.fault.lock().unwrap() = fault;
        self.0.calls_of_fault.store(0, Ordering::Relaxed);
    }

    /// What was asked since the last call.
    pub(crate) fn take(&self) -> Asked {
        let take = |count: &AtomicUsize| count.swap(0, Ordering::Relaxed);
        Asked {
            waited: take(&self.0.waited),
            writes: take(&self.0.writes),
            later: take(&self.0.later),
        }
    }

    fn add(count: &AtomicUsize) {
        count.fetch_add(1, Ordering::Relaxed);
    }

    async fn call<T>(
        &self,
        wrote: impl FnOnce(&T) -> bool,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        Self::add(&self.0.waited);
        let error = |kind| Err(StoreError::new(kind, "the test's store", "no luck"));
        let down = || error(StoreErrorKind::Unavailable);
        let fault = *self.0.fault.lock().unwrap();
        let earlier = self.0.calls_of_fault.fetch_add(1, Ordering::Relaxed);
        match fault {
            Fault::Down => return down(),
            Fault::Full => return error(StoreErrorKind::Full),
            Fault::Flaps if earlier.is_multiple_of(2) => return down(),
            Fault::Hangs => return std::future::pending().await,
            Fault::Works | Fault::Lost | Fault::Flaps => {}
        }
        let answer = call.await;
        if answer.as_ref().is_ok_and(wrote) {
            Self::add(&self.0.writes);
        }
        if fault == Fault::Lost {
            return answer.and(down());
        }
        answer
    }
}

impl ReplayStore for Counted {
    fn id(&self) -> StoreId {
        self.0.store.id()
    }

    fn created_at(&self) -> Timestamp {
        self.0.store.created_at()
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        Box::pin(self.call(
            |answer| matches!(answer, Consumption::Granted { .. }),
            self.0.store.consume(request),
        ))
    }

    fn release(&self, key: ConsumptionKey, id: UseId, why: ReleaseReason) {
        Self::add(&self.0.later);
        self.0.store.release(key, id, why);
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }

    fn serving(&self) -> Option<&dyn Serving> {
        Some(self)
    }
}

impl Serving for Counted {
    fn served(&self, key: ConsumptionKey, id: UseId) {
        Self::add(&self.0.later);
        self.0.store.served(key, id);
    }
}

impl Records for Counted {
    fn put_if_absent(
        &self,
        key: RecordKey,
        value: Vec<u8>,
        end: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.call(|wrote| *wrote, self.0.store.put_if_absent(key, value, end)))
    }

    fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.call(|_| false, self.0.store.get(key)))
    }

    fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.call(|()| true, self.0.store.delete(key)))
    }

    fn scan(
        &self,
        prefix: RecordKey,
    ) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>> {
        Box::pin(self.call(|_| false, self.0.store.scan(prefix)))
    }
}
