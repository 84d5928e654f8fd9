//! Stores that break their contract, to see that it is noticed.

use std::sync::Arc;

use tower_x402::{
    clock::Timestamp,
    replay::{
        BoxFuture, Consumption, ConsumptionKey, Durability, ReleaseReason, ReplayStore, StoreError,
        StoreId, UseId, UseRequest,
    },
};

/// A store behind one of these faults.
#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) store: Arc<dyn ReplayStore>,
    pub(crate) fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It says of every fourth payment that it is spent.
    Forgetful,
    /// It passes for the store of another process, and knows nothing of what that one granted.
    Twin,
}

impl ReplayStore for Faulty {
    fn id(&self) -> StoreId {
        match self.fault {
            Fault::Forgetful => self.store.id(),
            Fault::Twin => StoreId::from_bytes([7; 16]),
        }
    }

    fn created_at(&self) -> Timestamp {
        self.store.created_at()
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        let last = request.key().as_bytes().last().copied();
        match self.fault {
            Fault::Forgetful if last.is_some_and(|last| last % 4 == 0) => {
                Box::pin(async { Ok(Consumption::Spent) })
            }
            _ => self.store.consume(request),
        }
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        self.store.release(key, use_id, why);
    }

    fn durability(&self) -> Durability {
        self.store.durability()
    }
}
